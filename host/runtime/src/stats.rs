//! What a handler's runtime counts: plain numbers for whoever shows them.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use longshore_core::Crash;

/// Upper bounds of the buckets of queue waits, microseconds; one more bucket is above them all.
pub const WAIT_BOUNDS: [u64; 8] = [10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 60_000_000];

/// Counters of one handler, alive as long as it.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    instances: AtomicI64,
    busy: AtomicI64,
    created: AtomicU64,
    traps: AtomicU64,
    timeouts: AtomicU64,
    memory: AtomicU64,
    wait_us: AtomicU64,
    waits: [AtomicU64; WAIT_BOUNDS.len() + 1],
}

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Instances alive that wait for a call.
    pub idle: u64,
    /// Instances alive that handle one.
    pub busy: u64,
    /// Instances made since the start.
    pub created: u64,
    /// Calls that ended in a trap or a malformed answer.
    pub traps: u64,
    /// Calls past their deadline or CPU budget.
    pub timeouts: u64,
    /// Calls that wanted too much memory.
    pub memory: u64,
    /// Calls by how long they waited for a worker, as [`WAIT_BOUNDS`] divides them; not cumulative.
    pub waits: Vec<u64>,
    /// Sum of all waits.
    pub wait: Duration,
}

impl Stats {
    /// The numbers now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let count = |n: &AtomicI64| u64::try_from(n.load(Relaxed)).unwrap_or(0);
        let busy = count(&self.busy);
        Snapshot {
            idle: count(&self.instances).saturating_sub(busy),
            busy,
            created: self.created.load(Relaxed),
            traps: self.traps.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            memory: self.memory.load(Relaxed),
            waits: self.waits.iter().map(|n| n.load(Relaxed)).collect(),
            wait: Duration::from_micros(self.wait_us.load(Relaxed)),
        }
    }

    pub(crate) fn waited(&self, wait: Duration) {
        let us = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        let bucket = WAIT_BOUNDS.partition_point(|bound| *bound < us);
        self.waits[bucket].fetch_add(1, Relaxed);
        self.wait_us.fetch_add(us, Relaxed);
    }

    pub(crate) fn made(&self) {
        self.instances.fetch_add(1, Relaxed);
        self.created.fetch_add(1, Relaxed);
    }

    pub(crate) fn dropped(&self, dropped: bool) {
        self.instances.fetch_sub(i64::from(dropped), Relaxed);
    }

    pub(crate) fn busy(&self, busy: bool) {
        self.busy.fetch_add(if busy { 1 } else { -1 }, Relaxed);
    }

    pub(crate) fn crashed(&self, crash: &Crash) {
        match crash {
            Crash::Trap(_) => self.traps.fetch_add(1, Relaxed),
            Crash::Timeout(_) => self.timeouts.fetch_add(1, Relaxed),
            Crash::Memory(_) => self.memory.fetch_add(1, Relaxed),
            Crash::Host(_) => 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_fall_into_their_buckets() {
        let stats = Stats::default();
        for us in [0, 10, 11, 70_000_000] {
            stats.waited(Duration::from_micros(us));
        }
        let snapshot = stats.snapshot();
        assert_eq!(snapshot.waits, [2, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(snapshot.wait, Duration::from_micros(70_000_021));
    }
}
