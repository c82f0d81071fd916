//! How a topic is kept.

use longshore_core::{OwnKeys, Size, Span, TopicSettings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a topic is kept. The key of the table is its name; one with dots is quoted: `[topics."orders.created"]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Topic {
    /// Its name, where the key of the table is not.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// The broker that has it; `default` where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) broker: Option<String>,
    /// Age after which messages go; for ever where none is given.
    #[schemars(extend("x-positive" = true))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retention: Option<Span>,
    /// Size above which the oldest messages go; without bound where none is given.
    #[schemars(extend("x-positive" = true))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_size: Option<Size>,
    /// Whether messages go once every group has finished them.
    pub(crate) until_finished: bool,
}

impl Topic {
    /// The settings that are meant, without those that only one kind of broker knows.
    pub(crate) fn settings(&self) -> TopicSettings {
        TopicSettings {
            retention: self.retention.map(Span::get),
            max_size: self.max_size.map(Size::bytes),
            until_finished: self.until_finished,
            own: OwnKeys::default(),
        }
    }
}
