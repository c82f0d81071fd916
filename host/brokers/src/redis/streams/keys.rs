//! What names a lane to the server: its keys, its group, its consumer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{Script, ScriptInvocation};

use super::losses::Losses;
use crate::redis::names::{beside, of_group};

/// What groups of broadcasts begin with: they are nobody's but one subscriber's and end with it.
pub(super) const BROADCAST: &str = "longshore-broadcast-";
/// Who has what was given back. Reads nothing.
pub(super) const RETURNED: &str = "longshore-returned";
/// Kinds of keys beside a stream.
pub(super) const DUE: &str = "due";
pub(super) const KEPT: &str = "kept";
pub(super) const SEAT: &str = "seat";
pub(super) const INBOX: &str = "inbox";
pub(super) const LATER: &str = "later";
pub(super) const LATER_KEPT: &str = "later-kept";
pub(super) const ERA: &str = "era";
/// Lanes that are remembered for having ended without leaving.
const MAX_ORPHANS: usize = 1024;

/// One lane, as the server knows it.
pub(super) struct LaneKeys {
    pub(super) topic: String,
    pub(super) group: String,
    pub(super) consumer: String,
    /// Only one consumer of the group reads at a time.
    pub(super) exclusive: bool,
    pub(super) lease: Duration,
    pub(super) due: String,
    pub(super) kept: String,
    pub(super) seat: String,
    /// What the keys of its dedup inbox begin with.
    pub(super) inbox: String,
    pub(super) later: String,
    pub(super) later_kept: String,
    pub(super) era: String,
}

impl LaneKeys {
    pub(super) fn new(topic: &str, group: &str, consumer: &str, exclusive: bool, lease: Duration) -> Self {
        LaneKeys {
            due: of_group(topic, DUE, group),
            kept: of_group(topic, KEPT, group),
            seat: of_group(topic, SEAT, group),
            inbox: format!("{}:", of_group(topic, INBOX, group)),
            later: beside(topic, LATER),
            later_kept: beside(topic, LATER_KEPT),
            era: beside(topic, ERA),
            topic: topic.into(),
            group: group.into(),
            consumer: consumer.into(),
            exclusive,
            lease,
        }
    }

    /// Whether the group is a broadcast's.
    pub(super) fn is_broadcast(&self) -> bool {
        self.group.starts_with(BROADCAST)
    }

    /// The lease in milliseconds, as the server counts.
    pub(super) fn lease_millis(&self) -> u64 {
        u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// An invocation with stream, due, kept and seat for keys.
    pub(super) fn invoke<'s>(&self, script: &'s Script) -> ScriptInvocation<'s> {
        let mut invocation = script.prepare_invoke();
        invocation.key(&self.topic).key(&self.due).key(&self.kept).key(&self.seat);
        invocation
    }

    /// Adds group, consumer, whether it must sit alone, and the lease.
    pub(super) fn who(&self, invocation: &mut ScriptInvocation<'_>) {
        invocation.arg(&self.group).arg(&self.consumer).arg(u8::from(self.exclusive)).arg(self.lease_millis());
    }
}

/// Lanes that ended without leaving, their connection being gone: whoever subscribes next leaves for them.
#[derive(Default)]
pub(super) struct Orphans(Mutex<Vec<Arc<LaneKeys>>>);

impl Orphans {
    /// All of them.
    pub(super) fn take(&self) -> Vec<Arc<LaneKeys>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One more.
    pub(super) fn add(&self, keys: Arc<LaneKeys>) {
        let mut orphans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if orphans.len() < MAX_ORPHANS {
            orphans.push(keys);
        }
    }
}

/// A lane's presence. Its halves share it; when both are gone and nobody left, it is an orphan.
pub(super) struct Presence {
    pub(super) keys: Arc<LaneKeys>,
    pub(super) left: AtomicBool,
    pub(super) losses: Losses,
    pub(super) orphans: Arc<Orphans>,
}

impl Drop for Presence {
    fn drop(&mut self) {
        if !self.left.load(Ordering::Relaxed) {
            self.orphans.add(self.keys.clone());
        }
    }
}
