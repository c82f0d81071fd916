//! Keys that only JetStream knows, of a subscription and of a topic.

use std::time::Duration;

use longshore_core::{Refused, Size, Span, Subscribe};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::declare::Declare;
use crate::nats::names::check_object;

/// Shortest lease: a third of it is the interval of extensions.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// What a subscription may say besides the common keys.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Subscription {
    /// The stream that has the topics. Unset: whichever takes them.
    pub stream: Option<String>,
    /// For how long a message is lent before it is another's: the consumer's ack wait. It is extended for as long as the message is held,
    /// so it bounds how long a host that died keeps others waiting, and not how long a handler may take.
    pub lease: Span,
    /// What becomes of a stream or consumer that is missing, in place of the broker's `declare`.
    pub declare: Option<Declare>,
    /// What to do when the consumer, or the stream, is deleted while it is used.
    pub on_vanished: OnVanished,
}

/// What becomes of a subscription whose consumer or stream is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnVanished {
    /// It is made again, and goes on after the last message that is known to be finished.
    #[default]
    Recreate,
    /// The subscription ends with an error.
    Stop,
}

impl Default for Subscription {
    fn default() -> Self {
        Subscription { stream: None, lease: Span::from_secs(30), declare: None, on_vanished: OnVanished::Recreate }
    }
}

impl Subscription {
    /// What cannot mean anything.
    pub(super) fn check(&self, subscribe: &Subscribe) -> Vec<Refused> {
        let mut refused = Vec::new();
        let mut refuse = |key, problem: String, help: &str| refused.push(Refused { key, problem, help: help.into() });
        if self.lease.get() < SHORTEST_LEASE {
            refuse("lease", "is shorter than a second".into(), "give it at least 1s; 30s is usual");
        }
        if let Some(Err(problem)) = self.stream.as_deref().map(check_object) {
            refuse("stream", problem, "name the stream as `nats stream ls` shows it");
        }
        if let Some(Err(problem)) = subscribe.group.as_deref().map(check_object) {
            refuse("group", problem, "the consumer is named after the group: give it a name without dots");
        }
        refused
    }
}

/// What a topic may say besides the common keys: how its stream is made.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Topic {
    /// Name of the stream that keeps the topic. Unset: named after the topic.
    pub stream: Option<String>,
    /// Where messages are kept.
    pub storage: Storage,
    /// Servers of a cluster that keep a copy. Unset: one.
    #[schemars(extend("x-positive" = true))]
    pub replicas: Option<u8>,
    /// Messages above which the oldest go. Unset: no bound.
    #[schemars(extend("x-positive" = true))]
    pub max_messages: Option<u32>,
    /// Largest message. Unset: what the server takes.
    pub max_message_size: Option<Size>,
    /// For how long the server remembers ids, so that a message published twice is kept once. Unset: the server's two minutes.
    pub dedup_window: Option<Span>,
}

/// What a stream keeps messages in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// Files.
    #[default]
    File,
    /// Memory: a restart of the server loses them.
    Memory,
}
