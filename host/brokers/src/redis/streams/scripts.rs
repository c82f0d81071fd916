//! The scripts that run on the server, each in one piece. A server that does not know one is sent it once.

use std::sync::LazyLock;

use redis::Script;

/// A script with what all share before it.
macro_rules! script {
    ($name:ident, $file:literal, $what:literal) => {
        #[doc = $what]
        pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!(include_str!("../lua/common.lua"), include_str!("lua/prelude.lua"), include_str!($file))));
    };
}

script!(SETTLE, "lua/settle.lua", "One round of settlement.");
script!(RECOVER, "lua/recover.lua", "Delayed messages, retries that are due, entries of consumers that are gone.");
script!(JOIN, "lua/join.lua", "Makes stream and group, and joins.");
script!(HOLD, "lua/hold.lua", "Says that a lane is there.");
script!(EXTEND, "lua/extend.lua", "Extends leases.");
script!(RELEASE, "lua/release.lua", "Leaves a group.");
script!(LATER, "lua/later.lua", "Publishes a message that is to wait.");
script!(MAKE, "lua/make.lua", "Makes a stream.");
script!(PURGE, "lua/purge.lua", "Empties or removes a topic.");
script!(SEEK, "lua/seek.lua", "Moves a group.");
script!(REVIVE, "lua/revive.lua", "Gives a dead letter back.");
script!(TRIM, "lua/trim.lua", "Takes off what may go.");
