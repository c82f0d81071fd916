//! Where a handler may publish.

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

/// Leave to publish, on a named broker or under another name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Grant {
    /// The topic, or a pattern of topics: `audit.*` for one level, `audit.**` for all the rest.
    #[schemars(length(min = 1))]
    pub(crate) topic: String,
    /// The broker; `default` where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) broker: Option<String>,
    /// The name that the handler says for it. Needed where two brokers have the same topic.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) alias: Option<String>,
}

/// A topic or pattern on the broker `default`, or a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum PublishEntry {
    /// A topic or pattern on the broker `default`.
    Topic(#[schemars(length(min = 1))] String),
    /// With the broker or another name.
    Grant(Grant),
}

impl PublishEntry {
    /// As a table.
    pub(crate) fn grant(self) -> Grant {
        match self {
            PublishEntry::Topic(topic) => Grant { topic, broker: None, alias: None },
            PublishEntry::Grant(grant) => grant,
        }
    }
}

impl<'de> Deserialize<'de> for PublishEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::String(topic) => Ok(PublishEntry::Topic(topic)),
            table => serde_json::from_value(table).map(PublishEntry::Grant).map_err(D::Error::custom),
        }
    }
}
