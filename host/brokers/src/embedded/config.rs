//! The keys of an embedded broker.

use std::path::PathBuf;

use longshore_core::{Size, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::local::Limits;

/// A broker in a file of its own: durable, with transactions, for one machine.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// The database file, relative to the configuration file. It is made when it is not there. One process at a time can use it.
    pub path: PathBuf,
    /// Whether publishing to a topic, or subscribing to one, makes it.
    pub auto_create_topics: bool,
    /// Largest message that is accepted, with its key and headers.
    pub max_message_size: Size,
    /// Age after which messages go, finished or not, where a topic has no retention of its own.
    pub retention: Span,
    /// Bytes of a topic above which its oldest messages go. Unset: no bound.
    pub max_size: Option<Size>,
    /// Whether messages go as soon as every group has finished them. A group that comes later does not see them.
    pub until_finished: bool,
    /// How often the broker looks for messages that may go, and gives space back.
    pub tidy_interval: Span,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            path: "longshore.db".into(),
            auto_create_topics: true,
            max_message_size: Size::from_mib(1),
            retention: Span::from_secs(7 * 24 * 3600),
            max_size: None,
            until_finished: false,
            tidy_interval: Span::from_secs(30),
        }
    }
}

impl Config {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            auto_create: self.auto_create_topics,
            max_message_size: self.max_message_size.length(),
            retention: self.retention.get(),
            max_size: self.max_size.map(Size::bytes),
            until_finished: self.until_finished,
        }
    }
}
