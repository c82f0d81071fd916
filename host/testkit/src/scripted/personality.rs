//! What kind of broker it is, and what fails.

use std::time::Duration;

use super::habits::{Habits, Left};

/// How settlements are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// Everything of a round in one transaction, outputs included. A lane owns its partition.
    Transaction,
    /// A cumulative mark and ranges above it; waiting retries beside. A lane owns its partition.
    Mark,
    /// Each message by itself, lent for a time under a token. Every member has one lane, and all share the log.
    Lease {
        /// How long a message is lent.
        lease: Duration,
        /// Whether a retry comes as a copy with a new position. Else it comes with its old one.
        copies: bool,
    },
}

/// A kind of broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Personality {
    /// How settlements are kept.
    pub settling: Settling,
    /// Partitions of the topic, from 1. One with leases.
    pub partitions: usize,
    /// Whether positions have holes.
    pub gaps: bool,
    /// Whether every answer comes at once. Else latencies are drawn.
    pub instant: bool,
    /// What it does besides.
    pub habits: Habits,
}

impl Personality {
    /// Whether a lane that lives keeps what it has for as long as it wants.
    pub(crate) fn keeps_with_lane(&self) -> bool {
        self.habits.left != Left::LeaseOver || self.habits.one_reader
    }

    /// One partition, no holes, every answer at once.
    pub fn plain(settling: Settling) -> Self {
        Personality { settling, partitions: 1, gaps: false, instant: true, habits: Habits::NONE }
    }
}

/// How often what fails, in percent of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// A fetch that would bring something.
    pub fetch: u64,
    /// A settlement or an extension: before or after it took effect.
    pub settle: u64,
    /// A publish as a whole: before or after it took effect; and each message of it: unavailable.
    pub publish: u64,
    /// Each message of a publish: refused for good.
    pub refuse: u64,
    /// Answers that take up to five seconds.
    pub slow: u64,
    /// Settlements that are under way until the leases of what they settle are over.
    pub stall: u64,
    /// Of the errors, those after which the connection is gone.
    pub reconnect: u64,
}
