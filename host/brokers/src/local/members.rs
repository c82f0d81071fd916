//! Who subscribes, and who holds which lane, in this process.
//!
//! A lane belongs to one member of its group at a time. The others stand by and take it over when it is dropped, as members of a group
//! do that outnumber the partitions.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longshore_core::Pattern;
use tokio::sync::watch;

use super::tables::{LaneId, TopicId};

/// All members of all groups.
#[derive(Default)]
pub(super) struct Members {
    floor: Mutex<Floor>,
}

#[derive(Default)]
struct Floor {
    held: HashSet<(Arc<str>, TopicId)>,
    members: Vec<(u64, Arc<str>, Vec<Pattern>)>,
    last: u64,
    /// Lanes that were left since housekeeping last looked.
    left: Vec<LaneId>,
}

impl Members {
    /// A member, until the value is dropped.
    pub(super) fn join(self: &Arc<Self>, group: Arc<str>, patterns: Vec<Pattern>) -> Member {
        let mut floor = self.lock();
        floor.last += 1;
        let id = floor.last;
        floor.members.push((id, group, patterns));
        Member { members: self.clone(), id }
    }

    /// Takes the lane of a group on a topic unless somebody has it.
    pub(super) fn claim(self: &Arc<Self>, group: &Arc<str>, topic: TopicId, catalog: &watch::Sender<u64>) -> Option<Claim> {
        let what = (group.clone(), topic);
        let free = self.lock().held.insert(what.clone());
        free.then(|| Claim::new(self, Some(what), catalog))
    }

    /// A claim on nothing: a broadcast has its lane for itself.
    pub(super) fn no_claim(self: &Arc<Self>, catalog: &watch::Sender<u64>) -> Claim {
        Claim::new(self, None, catalog)
    }

    /// The place of a broadcast, which it may come back to until the value is dropped.
    pub(super) fn place(self: &Arc<Self>, lane: LaneId) -> Arc<Place> {
        Arc::new(Place { members: self.clone(), lane })
    }

    /// Whether somebody has the lane of a group on a topic.
    pub(super) fn is_held(&self, group: &Arc<str>, topic: TopicId) -> bool {
        self.lock().held.contains(&(group.clone(), topic))
    }

    /// How many members of a group would read a topic.
    pub(super) fn count(&self, group: &str, topic: &str) -> u64 {
        let floor = self.lock();
        let reads = |(_, g, patterns): &&(u64, Arc<str>, Vec<Pattern>)| &**g == group && patterns.iter().any(|p| p.matches(topic));
        floor.members.iter().filter(reads).count() as u64
    }

    /// Lanes that were left since the last call, and may have been taken again.
    pub(super) fn take_left(&self) -> Vec<LaneId> {
        std::mem::take(&mut self.lock().left)
    }

    /// What was taken with [`take_left`](Self::take_left), for another time.
    pub(super) fn put_back(&self, left: Vec<LaneId>) {
        self.lock().left.extend(left);
    }

    fn lock(&self) -> MutexGuard<'_, Floor> {
        self.floor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One subscription in its group.
pub(super) struct Member {
    members: Arc<Members>,
    id: u64,
}

impl Drop for Member {
    fn drop(&mut self) {
        let id = self.id;
        self.members.lock().members.retain(|(member, ..)| *member != id);
    }
}

/// Holds a lane until the last copy is dropped.
pub(super) struct Claim {
    members: Arc<Members>,
    what: Option<(Arc<str>, TopicId)>,
    /// The lane of a group, once it is open.
    pub(super) lane: Option<LaneId>,
    /// The place of a broadcast, once its lane is open.
    pub(super) place: Option<Arc<Place>>,
    /// The highest position that was handed over.
    pub(super) read: Arc<AtomicU64>,
    catalog: watch::Sender<u64>,
}

impl Claim {
    fn new(members: &Arc<Members>, what: Option<(Arc<str>, TopicId)>, catalog: &watch::Sender<u64>) -> Self {
        Claim { members: members.clone(), what, lane: None, place: None, read: Arc::default(), catalog: catalog.clone() }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.read.store(0, Ordering::Relaxed);
        let mut floor = self.members.lock();
        if let Some(what) = &self.what {
            floor.held.remove(what);
        }
        floor.left.extend(self.lane);
        drop(floor);
        self.catalog.send_modify(|count| *count += 1);
    }
}

/// A broadcast's place on a topic. Its subscription and its lane share it, since either may outlive the other.
pub(super) struct Place {
    members: Arc<Members>,
    pub(super) lane: LaneId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.members.lock().left.push(self.lane);
    }
}
