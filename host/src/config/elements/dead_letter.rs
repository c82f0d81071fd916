//! What becomes of messages that are given up.

use longshore_core::DeadLetterPolicy;
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

/// Where messages go that are given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct DeadLetter {
    /// The topic, on the broker of the subscription; `{topic}` and `{group}` stand for those of the message.
    #[schemars(length(min = 1))]
    pub(crate) topic: String,
    /// Redrives after which a dead letter is not given back again.
    pub(crate) max_redrives: u32,
}

impl Default for DeadLetter {
    fn default() -> Self {
        let DeadLetterPolicy { topic, max_redrives } = DeadLetterPolicy::default();
        DeadLetter { topic: topic.unwrap_or_default(), max_redrives }
    }
}

/// Where they go, or whether they go anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum DeadLetters {
    /// There.
    Kept(DeadLetter),
    /// `false`: nowhere; a log line and a count are all that is left. `true`: where they always go.
    Whether(bool),
}

impl Default for DeadLetters {
    fn default() -> Self {
        DeadLetters::Kept(DeadLetter::default())
    }
}

impl DeadLetters {
    /// The policy that is meant.
    pub(crate) fn policy(&self) -> DeadLetterPolicy {
        match self {
            DeadLetters::Kept(DeadLetter { topic, max_redrives }) => {
                DeadLetterPolicy { topic: Some(topic.clone()), max_redrives: *max_redrives }
            }
            DeadLetters::Whether(true) => DeadLetterPolicy::default(),
            DeadLetters::Whether(false) => DeadLetterPolicy { topic: None, ..DeadLetterPolicy::default() },
        }
    }
}

impl<'de> Deserialize<'de> for DeadLetters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::Bool(whether) => Ok(DeadLetters::Whether(whether)),
            table => serde_json::from_value(table).map(DeadLetters::Kept).map_err(D::Error::custom),
        }
    }
}
