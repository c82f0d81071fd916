//! Those of one host who wait for a lock, in the order of asking. Only the first of them asks the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Notify, OwnedMutexGuard};

/// A line for each lock that somebody waits for or takes.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<HashMap<String, Standing>>>);

/// A line, and how many stand in it.
#[derive(Default)]
struct Standing {
    line: Arc<Line>,
    count: usize,
}

/// One line. Its mutex is fair: who asks first has it first.
#[derive(Default)]
struct Line {
    turn: Arc<tokio::sync::Mutex<()>>,
    freed: Notify,
}

/// A place in a line, until it is dropped.
pub(super) struct Place {
    lines: Lines,
    name: String,
    line: Arc<Line>,
    turn: Turn,
}

enum Turn {
    Ours { _until_dropped: OwnedMutexGuard<()> },
    Others(BoxFuture<'static, OwnedMutexGuard<()>>),
    Over,
}

impl Lines {
    /// Stands in line, from now on.
    pub(super) fn enter(&self, name: &str) -> Place {
        let line = {
            let mut lines = self.lines();
            let standing = match lines.get_mut(name) {
                Some(standing) => standing,
                None => lines.entry(name.into()).or_default(),
            };
            standing.count += 1;
            standing.line.clone()
        };
        // Asked once, it keeps our place, whenever it is waited for.
        let mut waiting = line.turn.clone().lock_owned().boxed();
        let turn = match (&mut waiting).now_or_never() {
            Some(turn) => Turn::Ours { _until_dropped: turn },
            None => Turn::Others(waiting),
        };
        Place { lines: self.clone(), name: name.into(), line, turn }
    }

    /// The lock may be free now: the first need not wait until it would ask.
    pub(super) fn wake(&self, name: &str) {
        if let Some(standing) = self.lines().get(name) {
            standing.line.freed.notify_one();
        }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<String, Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whether nobody is before us.
    pub(super) fn is_first(&self) -> bool {
        matches!(self.turn, Turn::Ours { .. })
    }

    /// Waits until nobody is before us.
    pub(super) async fn first(&mut self) {
        if let Turn::Others(waiting) = &mut self.turn {
            self.turn = Turn::Ours { _until_dropped: waiting.await };
        }
    }

    /// Somebody here let the lock go.
    pub(super) async fn freed(&mut self) {
        self.line.freed.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.turn = Turn::Over;
        let mut lines = self.lines.lines();
        let Some(standing) = lines.get_mut(&self.name) else { return };
        standing.count -= 1;
        if standing.count == 0 {
            lines.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_first_is_first_whoever_waits_first() {
        let lines = Lines::default();
        let (first, mut second, mut third) = (lines.enter("a"), lines.enter("a"), lines.enter("a"));
        assert!(first.is_first() && !second.is_first() && !third.is_first());
        assert!(third.first().now_or_never().is_none() && second.first().now_or_never().is_none());
        drop(first);
        assert!(third.first().now_or_never().is_none());
        second.first().await;
        drop(second);
        third.first().await;
    }

    #[tokio::test]
    async fn a_line_is_there_as_long_as_somebody_stands_in_it() {
        let lines = Lines::default();
        let (first, mut second) = (lines.enter("a"), lines.enter("a"));
        drop(first);
        lines.wake("a");
        second.freed().await;
        assert_eq!(lines.lines().len(), 1);
        drop(second);
        assert!(lines.lines().is_empty());
    }

    #[test]
    fn nothing_is_left_of_a_line_that_all_leave_at_once() {
        let lines = Lines::default();
        for round in 0..200 {
            let places = [(); 4].map(|()| lines.enter("a"));
            let leaving = std::sync::Barrier::new(places.len());
            std::thread::scope(|scope| {
                for place in places {
                    scope.spawn(|| {
                        let place = place;
                        leaving.wait();
                        drop(place);
                    });
                }
            });
            assert!(lines.lines().is_empty(), "in round {round}");
        }
    }
}
