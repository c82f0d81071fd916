//! Whether the host is ready, and what it waits for.
//!
//! Whoever must be well for the host to be ready holds a [`Need`] and says when it is met and when no more. Reading is a look at a small map:
//! nothing that hangs can delay it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Shared by the parts of a host and its admin server.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    started: bool,
    stopping: bool,
    next: u64,
    unmet: BTreeMap<u64, String>,
}

impl Readiness {
    /// Not ready: the host starts.
    pub fn new() -> Self {
        Readiness::default()
    }

    /// Adds something that must be well; it is not yet. `what` is for people: `subscription billing/orders: not confirmed yet`.
    pub fn need(&self, what: impl Into<String>) -> Need {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.unmet.insert(id, what.into());
        Need { id, readiness: self.clone() }
    }

    /// All needs are known: from now on the host is ready while all are met.
    pub fn started(&self) {
        self.state().started = true;
    }

    /// The host stops: not ready any more, whatever is met.
    pub fn stop(&self) {
        self.state().stopping = true;
    }

    /// What is missing, in the order in which it was needed. Nothing: ready.
    pub fn missing(&self) -> Vec<String> {
        let state = self.state();
        if state.stopping {
            return vec!["the host is stopping".into()];
        }
        let starting = (!state.started).then(|| "the host is starting".into());
        starting.into_iter().chain(state.unmet.values().cloned()).collect()
    }

    /// Whether nothing is missing.
    pub fn is_ready(&self) -> bool {
        let state = self.state();
        state.started && !state.stopping && state.unmet.is_empty()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that must be well. Dropped, it is needed no more.
#[derive(Debug)]
pub struct Need {
    id: u64,
    readiness: Readiness,
}

impl Need {
    /// It is well.
    pub fn met(&self) {
        self.readiness.state().unmet.remove(&self.id);
    }

    /// It is not, or no longer. `what` is for people.
    pub fn unmet(&self, what: impl Into<String>) {
        self.readiness.state().unmet.insert(self.id, what.into());
    }
}

impl Drop for Need {
    fn drop(&mut self) {
        self.met();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_started_with_every_need_met_and_not_stopping() {
        let readiness = Readiness::new();
        let (a, b) = (readiness.need("a"), readiness.need("b"));
        a.met();
        assert_eq!(readiness.missing(), ["the host is starting", "b"]);
        readiness.started();
        assert!(!readiness.is_ready());
        b.met();
        assert!(readiness.is_ready());
        a.unmet("a again");
        assert_eq!(readiness.missing(), ["a again"]);
        drop(a);
        assert!(readiness.is_ready());
        readiness.stop();
        assert!(!readiness.is_ready());
        assert_eq!(readiness.missing(), ["the host is stopping"]);
    }
}
