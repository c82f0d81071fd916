//! How many messages a call gets.

use longshore_core::{Batching, Span};
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

/// Batches of a given size: for handlers that want to see many messages at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Batch {
    /// Messages at which a batch is handed over at once.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) max_messages: usize,
    /// How long the first message of a batch may wait for others.
    pub(crate) max_wait: Span,
}

impl Default for Batch {
    fn default() -> Self {
        Batch { max_messages: 100, max_wait: Span::from_millis(10) }
    }
}

/// The host's choice, or a given size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Batches {
    /// The host's choice.
    Chosen(Adaptive),
    /// A given size.
    Fixed(Batch),
}

/// The word for the host's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Adaptive {
    /// As many as are waiting and fill about a millisecond of the handler's time.
    Adaptive,
}

impl Default for Batches {
    fn default() -> Self {
        Batches::Chosen(Adaptive::Adaptive)
    }
}

impl Batches {
    /// What is meant.
    pub(crate) fn batching(&self) -> Batching {
        match self {
            Batches::Chosen(Adaptive::Adaptive) => Batching::default(),
            Batches::Fixed(Batch { max_messages, max_wait }) => Batching::Fixed { max_messages: *max_messages, max_wait: max_wait.get() },
        }
    }
}

impl<'de> Deserialize<'de> for Batches {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            word @ Json::String(_) => serde_json::from_value(word).map(Batches::Chosen).map_err(D::Error::custom),
            table => serde_json::from_value(table).map(Batches::Fixed).map_err(D::Error::custom),
        }
    }
}
