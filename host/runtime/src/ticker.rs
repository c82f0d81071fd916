//! The clock that guests are interrupted by: one thread for all of them.
//!
//! Every tick moves the engine's epoch, at which running guests stop for a look at their budget and let other tasks of their thread run.
//! The same ticks are the unit in which computing time is counted. There is no wall deadline here: an epoch cannot wake a guest that is
//! parked in a host call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use wasmtime::EngineWeak;

/// Time between two ticks: how long a spinning guest may hold a thread before others get their turn.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// Ticks since the engine was made.
#[derive(Clone, Default)]
pub(crate) struct Ticks(Arc<AtomicU64>);

impl Ticks {
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// How many ticks a span lasts, rounded up, at least one.
    pub(crate) fn in_span(span: Duration) -> u64 {
        u64::try_from(span.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX).max(1)
    }
}

/// Starts the thread. It ends by itself when the engine is gone.
pub(crate) fn start(engine: EngineWeak) -> std::io::Result<Ticks> {
    let ticks = Ticks::default();
    let counted = ticks.clone();
    std::thread::Builder::new().name("longshore-ticks".into()).spawn(move || {
        loop {
            std::thread::sleep(TICK);
            let Some(engine) = engine.upgrade() else { return };
            counted.0.fetch_add(1, Relaxed);
            engine.increment_epoch();
        }
    })?;
    Ok(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_rounded_up_to_whole_ticks() {
        assert_eq!(Ticks::in_span(Duration::ZERO), 1);
        assert_eq!(Ticks::in_span(TICK), 1);
        assert_eq!(Ticks::in_span(TICK + Duration::from_nanos(1)), 2);
        assert_eq!(Ticks::in_span(Duration::from_secs(1)), 200);
    }
}
