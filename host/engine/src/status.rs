//! What a subscription is doing, for whoever asks, and the switch that pauses it.

mod lane;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::breaker::BreakerState;
use crate::signal::Signal;

pub(crate) use lane::LaneStatus;

/// What a subscription is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activity {
    /// It asks the broker for its group.
    Connecting,
    /// The broker confirmed the subscription; messages flow when there are any.
    Running,
    /// The broker is in trouble; it tries again by itself. The text says what the trouble is.
    Waiting(String),
    /// It stopped for good: the text says why, nothing where it was told to.
    Stopped(Option<String>),
}

/// Counters and state of one subscription, shared with whoever watches it.
#[derive(Debug)]
pub struct Status {
    activity: watch::Sender<Activity>,
    /// Messages received and not settled.
    in_flight: AtomicUsize,
    lanes: AtomicUsize,
    had_lane: AtomicBool,
    done: AtomicU64,
    retried: AtomicU64,
    dead: AtomicU64,
    discarded: AtomicU64,
    duplicates: AtomicU64,
    /// What each lane tells of itself, as long as it lives.
    by_lane: Mutex<Vec<Arc<lane::Told>>>,
    breaker: Mutex<BreakerState>,
}

impl Default for Status {
    fn default() -> Self {
        Status {
            activity: watch::Sender::new(Activity::Connecting),
            in_flight: AtomicUsize::default(),
            lanes: AtomicUsize::default(),
            had_lane: AtomicBool::default(),
            done: AtomicU64::default(),
            retried: AtomicU64::default(),
            dead: AtomicU64::default(),
            discarded: AtomicU64::default(),
            duplicates: AtomicU64::default(),
            by_lane: Mutex::default(),
            breaker: Mutex::new(BreakerState::Closed),
        }
    }
}

impl Status {
    /// What it is doing; the receiver sees every change.
    pub fn activity(&self) -> watch::Receiver<Activity> {
        self.activity.subscribe()
    }

    /// Messages received and not settled.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Lanes that it owns.
    pub fn lanes(&self) -> usize {
        self.lanes.load(Ordering::Relaxed)
    }

    /// Whether it has ever owned one: what its broker refuses from then on has changed there.
    pub fn has_had_lane(&self) -> bool {
        self.had_lane.load(Ordering::Relaxed)
    }

    /// Messages done since the start.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Retries and snoozes since the start.
    pub fn retried(&self) -> u64 {
        self.retried.load(Ordering::Relaxed)
    }

    /// Dead letters since the start, also those that were dropped because the policy keeps none.
    pub fn dead(&self) -> u64 {
        self.dead.load(Ordering::Relaxed)
    }

    /// Messages discarded on the handler's word since the start.
    pub fn discarded(&self) -> u64 {
        self.discarded.load(Ordering::Relaxed)
    }

    /// Messages since the start that were not handled because they were done before.
    pub fn duplicates(&self) -> u64 {
        self.duplicates.load(Ordering::Relaxed)
    }

    /// Outcomes of messages since the start, whatever they were.
    pub fn ended(&self) -> u64 {
        self.done() + self.retried() + self.dead() + self.discarded() + self.duplicates()
    }

    /// The oldest trouble that a lane is in: since when, in milliseconds since the Unix epoch, and what it is. `None` = all is well.
    pub fn trouble(&self) -> Option<(u64, String)> {
        let lanes = self.by_lane();
        let troubles = lanes.iter().filter_map(|told| told.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone());
        troubles.min_by_key(|(since, _)| *since)
    }

    /// Milliseconds since the Unix epoch since when the oldest message is held that is not settled; `None`: none is held.
    pub fn oldest_open_since(&self) -> Option<u64> {
        self.by_lane().iter().filter_map(|told| told.oldest_open()).min()
    }

    fn by_lane(&self) -> MutexGuard<'_, Vec<Arc<lane::Told>>> {
        self.by_lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The circuit breaker as of the last call.
    pub fn breaker(&self) -> BreakerState {
        *self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_breaker(&self, state: BreakerState) {
        *self.breaker.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub(crate) fn set_activity(&self, activity: Activity) {
        self.activity.send_if_modified(|now| {
            let changed = *now != activity;
            if changed {
                *now = activity;
            }
            changed
        });
    }

    pub(crate) fn received(&self, messages: usize) {
        self.in_flight.fetch_add(messages, Ordering::Relaxed);
    }

    pub(crate) fn released(&self, messages: usize) {
        self.in_flight.fetch_sub(messages, Ordering::Relaxed);
    }

    pub(crate) fn lane_started(&self) {
        self.lanes.fetch_add(1, Ordering::Relaxed);
        self.had_lane.store(true, Ordering::Relaxed);
    }

    pub(crate) fn lane_ended(&self) {
        self.lanes.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, ended: Ended, messages: u64) {
        let counter = match ended {
            Ended::Done => &self.done,
            Ended::Retried => &self.retried,
            Ended::Dead => &self.dead,
            Ended::Discarded => &self.discarded,
            Ended::Duplicate => &self.duplicates,
        };
        counter.fetch_add(messages, Ordering::Relaxed);
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ended {
    Done,
    Retried,
    Dead,
    Discarded,
    Duplicate,
}

/// The switch that pauses a subscription: no fetch, no new call; what runs ends and is settled.
#[derive(Debug, Default)]
pub struct Gate {
    paused: AtomicBool,
    pub(crate) changes: Signal,
}

impl Gate {
    /// Pauses. Does nothing to a paused one.
    pub fn pause(&self) {
        self.set(true);
    }

    /// Goes on.
    pub fn resume(&self) {
        self.set(false);
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    fn set(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
        self.changes.send();
    }
}
