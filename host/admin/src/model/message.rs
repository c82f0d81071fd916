//! Messages that go in and come out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Line;
use crate::error::ControlError;

/// Messages to publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// The broker's name; `default` without.
    pub broker: Option<String>,
    /// In their order.
    pub messages: Vec<ToPublish>,
}

/// One message to publish. Its id and timestamp are the broker's to give: those of the line are not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ToPublish {
    /// What.
    pub message: Line,
    /// Milliseconds before which it is not delivered.
    #[serde(default)]
    pub delay_ms: u64,
}

/// What became of one message: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Published {
    /// The id that its readers will see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Why it was not published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ControlError>,
}

impl Published {
    /// The answer for one message.
    pub fn of(result: Result<String, ControlError>) -> Self {
        match result {
            Ok(id) => Published { id: Some(id), error: None },
            Err(error) => Published { id: None, error: Some(error) },
        }
    }

    /// The same as a result.
    pub fn result(self) -> Result<String, ControlError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.id.unwrap_or_default()),
        }
    }
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Begin {
    /// At the oldest message.
    Beginning,
    /// With what is published from now on: answers nothing but the newest position unless it waits.
    #[default]
    End,
}

/// A part of a topic to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Browse {
    /// The broker's name; `default` without.
    pub broker: Option<String>,
    /// The topic.
    pub topic: String,
    /// The position after which to read; 0 for the oldest message.
    #[serde(default)]
    pub after: u64,
    /// Read the newest messages in place of those after a position; they come in their order all the same.
    #[serde(default)]
    pub newest: bool,
    /// At most so many, 1 to 1000; 100 without.
    pub limit: Option<usize>,
    /// Milliseconds to wait for a message when there is none, at most 20,000.
    #[serde(default)]
    pub wait_ms: u64,
}

/// A read as a member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Take {
    /// The broker's name; `default` without.
    pub broker: Option<String>,
    /// The topic.
    pub topic: String,
    /// The group.
    pub group: String,
    /// Where a new group begins.
    #[serde(default)]
    pub from: Begin,
    /// At most so many, 1 to 1000.
    pub limit: Option<usize>,
    /// Milliseconds to wait for the first message, at most 20,000.
    #[serde(default)]
    pub wait_ms: u64,
}

/// A message as it stands on its topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Received {
    /// Where it stands.
    pub position: u64,
    /// The message.
    pub message: Line,
}

/// A message whose answer is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Request {
    /// The broker's name; `default` without.
    pub broker: Option<String>,
    /// What.
    pub message: Line,
    /// Milliseconds to wait, at most 20,000.
    pub timeout_ms: u64,
}
