//! What names a lane to the server: the queue's keys and the consumer's.

use std::time::Duration;

use redis::{Script, ScriptInvocation};

use crate::redis::names::{QUEUE, beside, of_group};

/// Delayed messages.
pub(super) const LATER: &str = "later";

/// One lane, as the server knows it.
pub(super) struct LaneKeys {
    pub(super) topic: String,
    pub(super) group: String,
    pub(super) consumer: String,
    /// For how long a consumer may be silent.
    pub(super) lease: Duration,
    /// Hash: the last number, the group, the era.
    pub(super) queue: String,
    /// Set: consumers that did not leave.
    readers: String,
    /// The consumer's heartbeat.
    pub(super) alive: String,
    /// List: what a wait for messages has moved, for whoever takes next.
    pub(super) landed: String,
    /// Hash: what the consumer has, by numbers.
    pub(super) held: String,
    /// Sorted set and hash: what waits for its time.
    pub(super) due: String,
    pub(super) kept: String,
    later: String,
}

impl LaneKeys {
    pub(super) fn new(topic: &str, group: &str, consumer: &str, lease: Duration) -> Self {
        LaneKeys {
            queue: beside(topic, QUEUE),
            readers: beside(topic, "readers"),
            alive: of_group(topic, "alive", consumer),
            landed: beside(topic, "landed"),
            held: of_group(topic, "held", consumer),
            due: beside(topic, "due"),
            kept: beside(topic, "kept"),
            later: beside(topic, LATER),
            topic: topic.into(),
            group: group.into(),
            consumer: consumer.into(),
            lease,
        }
    }

    /// The keys of a queue, for scripts that add the names of its consumers to two of them.
    pub(super) fn of_queue(topic: &str) -> Self {
        LaneKeys::new(topic, "", "", Duration::ZERO)
    }

    /// The lease in milliseconds, as the server counts.
    pub(super) fn lease_millis(&self) -> u64 {
        u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// An invocation with all keys.
    pub(super) fn invoke<'s>(&self, script: &'s Script) -> ScriptInvocation<'s> {
        let mut invocation = script.prepare_invoke();
        invocation.key(&self.topic).key(&self.queue).key(&self.readers).key(&self.alive).key(&self.landed);
        invocation.key(&self.held).key(&self.due).key(&self.kept).key(&self.later);
        invocation
    }
}
