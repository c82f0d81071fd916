//! Idle instances of all handlers, longest idle first: when the pool has no room for another instance, they make it.
//!
//! A worker parks its instance here while it waits for a call. Who needs room drops the one that was parked first; its worker makes
//! another when a call comes. Whether there is room, only the pool knows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::instance::Instance;
use crate::stats::Stats;

/// What is parked; one for each runtime.
#[derive(Default)]
pub(crate) struct Room(Mutex<Parked>);

#[derive(Default)]
struct Parked {
    /// By the order in which they came.
    instances: BTreeMap<u64, (Instance, Arc<Stats>)>,
    next: u64,
}

/// A parked instance, which may be gone by the time it is wanted. Dropped, the instance goes.
pub(crate) struct Ticket {
    room: Arc<Room>,
    /// `None` once the instance is back.
    number: Option<u64>,
}

impl Room {
    /// Parks an instance, of which `stats` counts that it goes.
    pub(crate) fn park(self: &Arc<Self>, instance: Instance, stats: Arc<Stats>) -> Ticket {
        let mut parked = self.parked();
        let number = parked.next;
        parked.next += 1;
        parked.instances.insert(number, (instance, stats));
        Ticket { room: self.clone(), number: Some(number) }
    }

    /// Drops the instance that has been idle for longest. `false` when none is.
    pub(crate) fn make(&self) -> bool {
        let oldest = self.parked().instances.pop_first();
        let Some((_, (instance, stats))) = oldest else { return false };
        drop(instance);
        stats.dropped(true);
        true
    }

    fn parked(&self) -> MutexGuard<'_, Parked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The instance, unless its room was needed.
    pub(crate) fn back(mut self) -> Option<Instance> {
        self.take().map(|(instance, _)| instance)
    }

    fn take(&mut self) -> Option<(Instance, Arc<Stats>)> {
        let number = self.number.take()?;
        self.room.parked().instances.remove(&number)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some((instance, stats)) = self.take() {
            drop(instance);
            stats.dropped(true);
        }
    }
}
