//! Keys that every broker has besides those of its adapter.

use std::time::Duration;

use longshore_core::{RetryPolicy, Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::retry::Backoff;

/// A connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Broker {
    /// How long the broker may take to confirm a message.
    #[schemars(extend("x-positive" = true))]
    pub(crate) publish_timeout: Span,
    /// How often `send`, the commands and the HTTP interface try to publish.
    pub(crate) publish_retry: PublishRetry,
    /// How long to wait before connecting again.
    pub(crate) reconnect: Reconnect,
    /// How long the broker may take to answer a ping.
    #[schemars(extend("x-positive" = true))]
    pub(crate) ping_timeout: Span,
    /// Bytes of payload, key and headers that a message may have.
    #[schemars(extend("x-positive" = true))]
    pub(crate) max_message_size: Size,
}

/// How often `send`, the commands and the HTTP interface try to publish. Outputs of handlers are tried for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct PublishRetry {
    /// Tries in all, the first included.
    #[schemars(range(min = 1))]
    pub(crate) max_attempts: u32,
    /// How waits grow with the number of failures.
    pub(crate) backoff: Backoff,
    /// The first wait.
    pub(crate) initial_delay: Span,
    /// What an exponential wait is multiplied with after each failure.
    #[schemars(range(min = 1))]
    pub(crate) multiplier: f64,
    /// Cap of every wait.
    #[schemars(extend("x-positive" = true))]
    pub(crate) max_delay: Span,
}

/// How long to wait before connecting again: doubling, from the start after a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Reconnect {
    /// The first wait.
    #[schemars(extend("x-positive" = true))]
    pub(crate) initial_delay: Span,
    /// Cap of every wait.
    #[schemars(extend("x-positive" = true))]
    pub(crate) max_delay: Span,
    /// How often in a row to connect again before giving up; without end where nothing is said. Only on a broker whose client does not connect
    /// again by itself.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_attempts: Option<u32>,
}

impl Default for Broker {
    fn default() -> Self {
        Broker {
            publish_timeout: Span::from_secs(10),
            publish_retry: PublishRetry::default(),
            reconnect: Reconnect::default(),
            ping_timeout: Span::from_secs(5),
            max_message_size: Size::from_mib(1),
        }
    }
}

impl Default for PublishRetry {
    fn default() -> Self {
        PublishRetry {
            max_attempts: 3,
            backoff: Backoff::Exponential,
            initial_delay: Span::from_secs(1),
            multiplier: 2.0,
            max_delay: Span::from_secs(60),
        }
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Reconnect { initial_delay: Span::from_secs(1), max_delay: Span::from_secs(30), max_attempts: None }
    }
}

impl PublishRetry {
    /// The policy that is meant. It has neither jitter nor an age: somebody waits for the answer.
    pub(crate) fn policy(&self) -> RetryPolicy {
        RetryPolicy {
            max_attempts: self.max_attempts,
            max_age: Duration::MAX,
            backoff: self.backoff.into(),
            initial_delay: self.initial_delay.get(),
            multiplier: self.multiplier,
            max_delay: self.max_delay.get(),
            jitter: 0.0,
            reject_timeouts: false,
        }
    }
}
