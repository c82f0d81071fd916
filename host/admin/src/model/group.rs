//! Groups.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One group on one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Its name.
    pub group: String,
    /// The broker's name in the configuration.
    pub broker: String,
    /// The topic.
    pub topic: String,
    /// Everything at or below it is finished or waits for a retry.
    pub position: u64,
    /// Messages never finished; `null` where unknown.
    pub lag: Option<u64>,
    /// Messages that wait for a retry.
    pub retries: u64,
    /// Hosts that read with it now.
    pub members: u64,
    /// What the broker calls them, where it has names for them.
    pub consumers: Vec<String>,
    /// Dead letters of it that are kept; `null` where the broker keeps none, or there are too many to count them in a list.
    pub dead_letters: Option<u64>,
    /// When it was made; `null` where the broker does not tell.
    pub created_at: Option<u64>,
}

/// A group to move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeekGroup {
    /// The broker's name; `default` without.
    pub broker: Option<String>,
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// `beginning`, `end`, a position, or an RFC 3339 time.
    pub to: String,
}

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sought {
    /// Everything at or below it counts as finished.
    pub position: u64,
}
