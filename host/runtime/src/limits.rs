//! What bounds a guest while it runs: memory, and time that it computes itself.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use wasmtime::{ResourceLimiter, UpdateDeadline};

use crate::ticker::Ticks;

/// Tables and memories that a guest may have; more than any toolchain makes.
const TABLES: usize = 64;
/// Elements of a table.
const TABLE_ELEMENTS: usize = 1 << 20;

/// Bounds linear memory, over all memories of an instance, and remembers that it refused.
pub(crate) struct MemoryLimit {
    limit: usize,
    used: usize,
    refused: bool,
}

impl MemoryLimit {
    pub(crate) fn new(limit: usize) -> Self {
        MemoryLimit { limit, used: 0, refused: false }
    }

    /// Whether a growth was refused since the last [`renew`](Self::renew).
    pub(crate) fn refused(&self) -> bool {
        self.refused
    }

    /// Begins a call.
    pub(crate) fn renew(&mut self) {
        self.refused = false;
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            self.refused = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        TABLES
    }
}

/// Counts the ticks in which a guest runs. A guest that waits for the host is not polled, so its waiting costs nothing.
pub(crate) struct CpuMeter {
    ticks: Ticks,
    budget: u64,
    used: AtomicU64,
    entered: AtomicU64,
    exceeded: AtomicBool,
}

impl CpuMeter {
    pub(crate) fn new(ticks: Ticks, budget: Duration) -> Arc<Self> {
        let budget = Ticks::in_span(budget);
        Arc::new(CpuMeter { ticks, budget, used: AtomicU64::new(0), entered: AtomicU64::new(0), exceeded: AtomicBool::new(false) })
    }

    /// Begins a call.
    pub(crate) fn renew(&self) {
        self.used.store(0, Relaxed);
        self.exceeded.store(false, Relaxed);
    }

    /// Whether the guest was stopped for it.
    pub(crate) fn exceeded(&self) -> bool {
        self.exceeded.load(Relaxed)
    }

    /// What a guest does that meets a new epoch: let others run, or stop. Tokio's own yield is used because it lets timers and I/O be
    /// looked at as well, which waking oneself does not.
    pub(crate) fn on_epoch(&self) -> UpdateDeadline {
        let running = self.ticks.now().saturating_sub(self.entered.load(Relaxed));
        if self.used.load(Relaxed) + running > self.budget {
            self.exceeded.store(true, Relaxed);
            return UpdateDeadline::Interrupt;
        }
        UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))
    }

    fn enter(&self) {
        self.entered.store(self.ticks.now(), Relaxed);
    }

    fn leave(&self) {
        self.used.fetch_add(self.ticks.now().saturating_sub(self.entered.load(Relaxed)), Relaxed);
    }
}

/// A guest's call with its meter running while it is polled.
pub(crate) struct Metered<'m, F> {
    pub(crate) call: F,
    pub(crate) meter: &'m CpuMeter,
}

impl<F: Future + Unpin> Future for Metered<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.meter.enter();
        let polled = Pin::new(&mut self.call).poll(cx);
        self.meter.leave();
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_over_all_memories_and_a_refusal_is_remembered() {
        let mut limit = MemoryLimit::new(100);
        assert!(limit.memory_growing(0, 60, None).expect("an answer"));
        assert!(limit.memory_growing(0, 40, None).expect("an answer"), "a second memory");
        assert!(!limit.refused());
        assert!(!limit.memory_growing(40, 41, None).expect("an answer"));
        assert!(limit.refused());
        limit.renew();
        assert!(!limit.refused());
    }
}
