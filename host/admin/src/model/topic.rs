//! Topics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// The broker's name in the configuration.
    pub broker: String,
    /// Messages kept.
    pub messages: u64,
    /// Bytes kept, where the broker tells.
    pub bytes: Option<u64>,
    /// Messages that wait for their time.
    pub delayed: u64,
    /// Position of the oldest message.
    pub first: Option<u64>,
    /// Position of the newest message.
    pub last: Option<u64>,
    /// Groups that read it.
    pub groups: u64,
}

/// A topic to make.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NewTopic {
    /// The broker's name; `default` without.
    pub broker: Option<String>,
    /// Its name.
    pub name: String,
    /// Milliseconds after which messages go.
    pub retention_ms: Option<u64>,
    /// Bytes above which the oldest go.
    pub max_size: Option<u64>,
    /// Whether messages go once every group has finished them.
    #[serde(default)]
    pub until_finished: bool,
}
