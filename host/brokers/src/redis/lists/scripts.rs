//! The scripts that run on the server, each in one piece. A server that does not know one is sent it once.

use std::sync::LazyLock;

use redis::Script;

/// A script with what all share before it, and more that some do.
macro_rules! script {
    ($name:ident, $what:literal, $($file:literal),+) => {
        #[doc = $what]
        pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(include_str!("../lua/common.lua"), include_str!("lua/prelude.lua"), $(include_str!($file)),+))
        });
    };
}

script!(PUBLISH, "Appends messages.", "lua/publish.lua");
script!(LATER, "Publishes a message that is to wait.", "lua/later.lua");
script!(JOIN, "A consumer comes.", "lua/join.lua");
script!(HOLD, "A consumer says that it is there.", "lua/hold.lua");
script!(TAKE, "Takes messages, and what is due.", "lua/take.lua");
script!(SETTLE, "One round of settlement.", "lua/settle.lua");
script!(RELEASE, "A consumer leaves.", "lua/release.lua");
script!(MAKE, "Makes a queue.", "lua/make.lua");
script!(PURGE, "Empties or removes a queue.", "lua/purge.lua");
script!(COUNT, "Counts what a queue has.", "lua/count.lua");
script!(BROWSE, "Shows a part of a list.", "lua/find.lua", "lua/browse.lua");
script!(REMOVE, "Takes messages out of a list.", "lua/find.lua", "lua/remove.lua");
script!(REVIVE, "Gives a dead letter back.", "lua/find.lua", "lua/alive.lua", "lua/revive.lua");
script!(READMIT, "Gives back one that another slot has.", "lua/alive.lua", "lua/readmit.lua");
