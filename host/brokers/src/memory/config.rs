//! The keys of a memory broker.

use longshore_core::{BrokerError, Size, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use super::faults::Faults;
use crate::local::Limits;

/// What a `url` begins with.
const SCHEME: &str = "memory://";

/// A broker in this process's memory. What it keeps is gone when the process ends.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Bus to share: all tables that say `memory://<name>` with the same name are one broker. Without it the broker stands alone.
    pub url: Option<String>,
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
    /// How often the broker looks for messages that may go.
    pub tidy_interval: Span,
    /// Faults on purpose, for tests.
    pub faults: Faults,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            url: None,
            auto_create_topics: true,
            max_message_size: Size::from_mib(1),
            retention: Span::from_secs(7 * 24 * 3600),
            max_size: None,
            until_finished: false,
            tidy_interval: Span::from_secs(30),
            faults: Faults::default(),
        }
    }
}

impl Config {
    /// The bus's name, if it has one.
    pub(super) fn bus(&self) -> Result<Option<&str>, BrokerError> {
        let Some(url) = &self.url else { return Ok(None) };
        match url.strip_prefix(SCHEME) {
            Some(name) if !name.is_empty() => Ok(Some(name)),
            _ => Err(BrokerError::give_up(format!("url {url:?} is not of the form {SCHEME}<name>"))),
        }
    }

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
