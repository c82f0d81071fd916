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

/// Finishes what is a consumer's for certain. It is told whole: in a transaction it would be too late to send it to a server that does not know it.
pub(super) const FINISH: &str = concat!(include_str!("../lua/common.lua"), include_str!("lua/prelude.lua"), include_str!("lua/finish.lua"));

script!(SETTLE, "One round of settlement.", "lua/inbox.lua", "lua/settle.lua");
script!(CLAIM, "Claims keys of a dedup inbox.", "lua/inbox.lua", "lua/claim.lua");
script!(RECLAIM, "Extends claims.", "lua/reclaim.lua");
script!(UNCLAIM, "Gives back claims.", "lua/inbox.lua", "lua/unclaim.lua");
script!(
    RECOVER,
    "Delayed messages, retries that are due, entries of consumers that are gone.",
    "lua/ids.lua",
    "lua/count.lua",
    "lua/watch.lua",
    "lua/recover.lua"
);
script!(JOIN, "Makes stream and group, and joins.", "lua/ids.lua", "lua/count.lua", "lua/back.lua", "lua/join.lua");
script!(HOLD, "Says that a lane is there.", "lua/hold.lua");
script!(EXTEND, "Extends leases.", "lua/ids.lua", "lua/extend.lua");
script!(RELEASE, "Leaves a group.", "lua/release.lua");
script!(LATER, "Publishes a message that is to wait.", "lua/later.lua");
script!(MAKE, "Makes a stream.", "lua/make.lua");
script!(PURGE, "Empties or removes a topic.", "lua/purge.lua");
script!(SEEK, "Moves a group.", "lua/seek.lua");
script!(REVIVE, "Gives a dead letter back.", "lua/alive.lua", "lua/revive.lua");
script!(READMIT, "Gives back one that another slot has.", "lua/alive.lua", "lua/readmit.lua");
script!(TRIM, "Takes off what may go.", "lua/ids.lua", "lua/trim.lua");
