//! Dead letters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Line;

/// Which dead letters. What is not given does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterFilter {
    /// The broker's name; all brokers without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker: Option<String>,
    /// Id (`topic/position`) of one, or of the message that it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The topic that they are on, or that they came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The group that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Class of the last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Last failed at or after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Last failed at or before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// A header, as `name=value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// At most so many; 100 for a list, 1000 for what changes something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// What to redrive, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redrive {
    /// Which; at most 1000 in one call.
    #[serde(default)]
    pub filter: DeadLetterFilter,
    /// Another topic, for all its groups. Without: back to the group that failed, and to no other.
    pub to: Option<String>,
}

/// What became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Redriven {
    /// How many were redriven.
    pub count: u64,
    /// How many were left because they were redriven `max-redrives` times already; `to` another topic they still go.
    pub skipped: u64,
}

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetter {
    /// `topic/position`, where it stands now.
    pub id: String,
    /// The broker's name in the configuration.
    pub broker: String,
    /// The topic that it is on.
    pub topic: String,
    /// Where on it.
    pub position: u64,
    /// Why it is there.
    pub facts: DeadFacts,
    /// The message as it was, without the headers that tell why.
    pub message: Line,
}

/// Why a message is a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct DeadFacts {
    /// exhausted, rejected, expired, undecodable, oversize, crashed.
    pub reason: String,
    /// Class of the last failure.
    pub class: String,
    /// What the last failure said.
    pub message: String,
    /// Attempts used.
    pub attempts: Option<u32>,
    /// How often the broker handed it over.
    pub deliveries: Option<u32>,
    /// First failure.
    pub first_failed_at: Option<u64>,
    /// Last failure.
    pub last_failed_at: Option<u64>,
    /// `broker/topic/position` that it came from.
    pub source: String,
    /// The topic that it came from.
    pub topic: String,
    /// The group that failed.
    pub group: String,
    /// The id that it had.
    pub id: String,
    /// Name of the subscription.
    pub subscription: String,
    /// Name, version and digest of the component.
    pub component: String,
    /// How often it was redriven before.
    pub redrives: Option<u32>,
}
