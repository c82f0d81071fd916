//! Facts about the delivery being handled, asked of the host only when they are wanted.

use std::time::SystemTime;

use crate::{call, host};

/// Where a message comes from and what happened to it so far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Details {
    /// The subscription's name in the configuration.
    pub subscription: String,
    /// The consumer group, where the broker has such.
    pub group: Option<String>,
    /// The broker's name in the configuration.
    pub broker: String,
    /// The partition, where the broker has such.
    pub partition: Option<u32>,
    /// The broker's own position or id, as text.
    pub position: String,
    /// How often the broker handed it over, 1 on first sight. Unlike the attempt it counts lost hosts too.
    pub deliveries: u32,
    /// How many attempts the retry policy allows, the first included.
    pub max_attempts: u32,
    /// When an attempt failed for the first time; none on the first.
    pub first_failed_at: Option<SystemTime>,
    /// How often it came back from the dead letters.
    pub redrives: u32,
    /// Whether somebody waits for a [`reply`](crate::reply).
    pub wants_reply: bool,
}

/// As a message has it that is seen for the first time; for tests, which change what they are about.
impl Default for Details {
    fn default() -> Self {
        Self {
            subscription: "test".to_owned(),
            group: None,
            broker: "test".to_owned(),
            partition: None,
            position: String::new(),
            deliveries: 1,
            max_attempts: 5,
            first_failed_at: None,
            redrives: 0,
            wants_reply: false,
        }
    }
}

/// About the message being handled. In a job the host traps, since a job is not handling one.
pub fn details() -> Details {
    host::details(call::origin())
}

/// When this call is cut off.
pub fn deadline() -> SystemTime {
    host::deadline()
}
