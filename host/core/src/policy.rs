//! Delivery policies as trusted values: whoever builds one has checked it. What they *mean* is decided in the engine.

use std::time::Duration;

/// How a subscription keeps order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Every message stands alone.
    #[default]
    None,
    /// Messages of one key one after another, keys in parallel.
    Key,
    /// The whole lane one after another.
    Lane,
}

/// When a message counts as settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// After the handler is done with it.
    #[default]
    AtLeastOnce,
    /// Before the handler is called.
    AtMostOnce,
}

/// How waits grow with the number of failures n, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backoff {
    /// d
    Fixed,
    /// d * n
    Linear,
    /// d * m^(n-1)
    #[default]
    Exponential,
}

/// When a failed message comes again, and when no more.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// Tries in all, the first included; at least 1.
    pub max_attempts: u32,
    /// Age, since its timestamp, after which a failed message is dead.
    pub max_age: Duration,
    /// How waits grow.
    pub backoff: Backoff,
    /// d.
    pub initial_delay: Duration,
    /// m, at least 1.
    pub multiplier: f64,
    /// Cap of every wait, before jitter.
    pub max_delay: Duration,
    /// Share that jitter may add, 0 to 1.
    pub jitter: f64,
    /// Whether a timeout is a dead letter at once.
    pub reject_timeouts: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            max_attempts: 5,
            max_age: Duration::from_secs(24 * 3600),
            backoff: Backoff::default(),
            initial_delay: Duration::from_millis(200),
            multiplier: 2.0,
            max_delay: Duration::from_secs(60),
            jitter: 0.1,
            reject_timeouts: false,
        }
    }
}

/// What becomes of messages that are given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterPolicy {
    /// The topic, as a template with `{topic}` and `{group}`; `None`: gone, with a log line and a count.
    pub topic: Option<String>,
    /// Redrives after which a dead letter is not redriven again.
    pub max_redrives: u32,
}

impl Default for DeadLetterPolicy {
    fn default() -> Self {
        DeadLetterPolicy { topic: Some("{topic}.{group}.dlq".into()), max_redrives: 10 }
    }
}

impl DeadLetterPolicy {
    /// The topic for dead letters of `topic` and `group`.
    pub fn destination(&self, topic: &str, group: &str) -> Option<String> {
        Some(self.topic.as_ref()?.replace("{topic}", topic).replace("{group}", group))
    }
}

/// How many messages a call gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batching {
    /// As many as are waiting and fill about a millisecond of the handler's time, at most so many.
    Adaptive {
        /// At least 1.
        max_messages: usize,
    },
    /// So many, or what came within the wait since the first.
    Fixed {
        /// At least 1.
        max_messages: usize,
        /// Since the first message of the batch was there.
        max_wait: Duration,
    },
}

impl Default for Batching {
    fn default() -> Self {
        Batching::Adaptive { max_messages: 1000 }
    }
}

impl Batching {
    /// The most messages that a call can get.
    pub fn max_messages(self) -> usize {
        match self {
            Batching::Adaptive { max_messages } | Batching::Fixed { max_messages, .. } => max_messages,
        }
    }
}

/// When consuming pauses because nothing succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row that open it; at least 1.
    pub threshold: u32,
    /// How long it stays open before one message is let through.
    pub reset_after: Duration,
}

/// Bounds of one call of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory, bytes.
    pub memory: usize,
    /// Wall time.
    pub deadline: Duration,
    /// Time that the guest itself computes; waiting on the host is free.
    pub cpu: Duration,
    /// Outputs of one message.
    pub outputs: usize,
    /// Bytes of all outputs of one call.
    pub output_size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory: 64 << 20, deadline: Duration::from_secs(5), cpu: Duration::from_secs(1), outputs: 1000, output_size: 16 << 20 }
    }
}
