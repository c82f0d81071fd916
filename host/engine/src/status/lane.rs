//! What one lane tells of itself. It goes with the lane: no lane clears another's trouble, and none leaves its own behind.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Status;

/// No message is open.
const NONE: u64 = u64::MAX;

/// Trouble of a lane: since when, in milliseconds since the Unix epoch, and what it is.
pub(super) type Trouble = (u64, String);

/// What a lane has told last.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) trouble: Mutex<Option<Trouble>>,
    /// Milliseconds since the Unix epoch since when its oldest open message is held.
    oldest_open: AtomicU64,
}

impl Told {
    pub(super) fn oldest_open(&self) -> Option<u64> {
        Some(self.oldest_open.load(Ordering::Relaxed)).filter(|at| *at != NONE)
    }
}

/// A lane's place in its subscription's status, given up with it.
#[derive(Debug)]
pub(crate) struct LaneStatus {
    status: Arc<Status>,
    told: Arc<Told>,
}

impl LaneStatus {
    pub(crate) fn new(status: Arc<Status>) -> Self {
        let told = Arc::new(Told { trouble: Mutex::new(None), oldest_open: AtomicU64::new(NONE) });
        status.by_lane().push(Arc::clone(&told));
        LaneStatus { status, told }
    }

    /// The lane is in trouble; the first of a row says since when, the last says what it is.
    pub(crate) fn troubled(&self, now: u64, what: &str) {
        let mut trouble = self.told.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let since = trouble.as_ref().map_or(now, |(since, _)| *since);
        *trouble = Some((since, what.into()));
    }

    /// Its trouble is over.
    pub(crate) fn well(&self) {
        *self.told.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Since when its oldest open message is held; `None`: it holds none.
    pub(crate) fn set_oldest_open(&self, since: Option<u64>) {
        self.told.oldest_open.store(since.unwrap_or(NONE), Ordering::Relaxed);
    }
}

impl Drop for LaneStatus {
    fn drop(&mut self) {
        self.status.by_lane().retain(|told| !Arc::ptr_eq(told, &self.told));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_lane_clears_anothers_trouble_and_none_leaves_its_own_behind() {
        let status = Arc::new(Status::default());
        let (one, other) = (LaneStatus::new(status.clone()), LaneStatus::new(status.clone()));
        one.troubled(5, "no broker");
        one.troubled(9, "still no broker");
        other.troubled(7, "no store");
        assert_eq!(status.trouble(), Some((5, "still no broker".into())), "the oldest, in its last words");
        one.well();
        assert_eq!(status.trouble(), Some((7, "no store".into())));
        drop(other);
        assert_eq!(status.trouble(), None);
    }

    #[test]
    fn the_oldest_open_message_of_all_lanes_counts() {
        let status = Arc::new(Status::default());
        let (one, other) = (LaneStatus::new(status.clone()), LaneStatus::new(status.clone()));
        assert_eq!(status.oldest_open_since(), None);
        one.set_oldest_open(Some(30));
        other.set_oldest_open(Some(20));
        assert_eq!(status.oldest_open_since(), Some(20));
        other.set_oldest_open(None);
        assert_eq!(status.oldest_open_since(), Some(30));
    }
}
