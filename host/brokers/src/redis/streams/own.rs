//! Keys of subscriptions and topics that only streams know.

use longshore_core::Span;
use schemars::JsonSchema;
use serde::Deserialize;

/// Keys of a subscription.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Subscription {
    /// How long a message is lent to this subscription's hosts, in place of the broker's `lease`.
    #[schemars(extend("x-positive" = true))]
    pub lease: Option<Span>,
    /// What is done when the group, once joined, is gone from the server.
    pub lost_group: LostGroup,
}

/// What is done about a group that somebody removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LostGroup {
    /// It is made again and reads all that the stream still has: messages come twice, none is lost.
    #[default]
    Replay,
    /// The subscription ends with an error, for a human to decide.
    Stop,
}

/// Keys of a topic.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Topic {
    /// Entries above which the oldest go. What the slowest group has not finished stays, whatever the length.
    #[schemars(range(min = 1))]
    pub max_length: Option<u64>,
    /// Whether the length may be exceeded by a tenth, at least 100 entries, before anything goes.
    pub approximate: bool,
}

impl Default for Topic {
    fn default() -> Self {
        Topic { max_length: None, approximate: true }
    }
}
