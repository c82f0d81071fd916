//! Everything that happened, in order, with its time; and the one place where each event is checked as it happens.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};

use longshore_core::Clock;
use tokio::time::Instant;

use super::event::Event;

/// The wall clock at the start of a history, milliseconds since the Unix epoch.
pub const START: u64 = 1_800_000_000_000;

/// Looks at every event; an error breaks the history.
type Check = Box<dyn FnMut(u64, &Event) -> Result<(), String> + Send>;

#[derive(Default)]
struct Inner {
    events: Vec<(u64, Event)>,
    check: Option<Check>,
    broken: Option<String>,
    calls: u32,
}

/// A history and its clock, which is tokio's: with a paused clock wall time and timers agree. Clones are the same history.
#[derive(Clone)]
pub struct History {
    began: Instant,
    inner: Arc<Mutex<Inner>>,
}

impl Default for History {
    fn default() -> Self {
        History { began: Instant::now(), inner: Arc::default() }
    }
}

impl History {
    /// A history whose every event `check` looks at, with its time in milliseconds since the Unix epoch. After its first error nothing is
    /// checked any more.
    pub fn checked(check: impl FnMut(u64, &Event) -> Result<(), String> + Send + 'static) -> Self {
        let history = History::default();
        history.inner().check = Some(Box::new(check));
        history
    }

    /// Now, milliseconds since the Unix epoch.
    pub fn now(&self) -> u64 {
        START + u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }

    /// The same as the engine wants it.
    pub fn clock(&self) -> Clock {
        let history = self.clone();
        Clock::new(move || history.now())
    }

    /// Adds an event.
    pub fn record(&self, event: Event) {
        let now = self.now();
        let mut inner = self.inner();
        if inner.broken.is_none()
            && let Some(check) = &mut inner.check
            && let Err(what) = check(now, &event)
        {
            inner.broken = Some(what);
        }
        inner.events.push((now, event));
    }

    /// What was wrong, once something was.
    pub fn broken(&self) -> Option<String> {
        self.inner().broken.clone()
    }

    /// All events with their times.
    pub fn events(&self) -> Vec<(u64, Event)> {
        self.inner().events.clone()
    }

    /// A line an event, times in milliseconds since the start.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (time, event) in &self.inner().events {
            writeln!(text, "{:>9} {event}", time - START).expect("a string takes everything");
        }
        text
    }

    pub(crate) fn next_call(&self) -> u32 {
        let mut inner = self.inner();
        inner.calls += 1;
        inner.calls
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("a check answers with an error, it does not panic")
    }
}
