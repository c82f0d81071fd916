//! What a handler answered, or why it did not.

use std::time::Duration;

use crate::outputs::Outputs;

/// Why a message was not finished, as the handler says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// May succeed later; the retry policy says when.
    Retry(String),
    /// The same, not before the span is over.
    RetryAfter(Duration, String),
    /// Can never succeed: to the dead letters now.
    Reject(String),
    /// Forget it; counted and logged.
    Discard(String),
    /// Not now; uses no attempt.
    Snooze(Duration),
    /// Given back untried by whatever stands between the guest and the engine; no guest can say it. Uses no attempt, whatever its age.
    NotTried,
}

/// A call that was answered. Checked: `handled` is at least 1 and at most what the call held, failures ascend below it.
#[derive(Debug, Default)]
pub struct Done {
    /// The first so many messages were handled; the others were not tried.
    pub handled: u32,
    /// Index and failure of those that failed, ascending. The rest of `handled` are done.
    pub failures: Vec<(u32, Failure)>,
    /// What to publish, by ascending origin.
    pub outputs: Outputs,
}

/// A call without a usable answer. Nothing of it is settled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Crash {
    /// The guest trapped, or answered what cannot be.
    #[error("the handler crashed: {0}")]
    Trap(String),
    /// It ran past its deadline or its CPU budget.
    #[error("the handler ran past its limit of {0}")]
    Timeout(String),
    /// It wanted more memory than it may have.
    #[error("the handler ran out of memory: {0}")]
    Memory(String),
    /// Trouble of the host, nobody's fault: no attempt is used.
    #[error("{0}")]
    Host(String),
}

impl Crash {
    /// The failure class that logs, metrics and dead letters carry.
    pub fn class(&self) -> &'static str {
        match self {
            Crash::Trap(_) => "trap",
            Crash::Timeout(_) => "timeout",
            Crash::Memory(_) => "memory",
            Crash::Host(_) => "host",
        }
    }
}
