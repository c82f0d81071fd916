//! Whose turn it is to change a key, on this host. The server would refuse all but one of those who change a key at once; taking turns here leaves
//! only other hosts to meet there.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use tokio::sync::{Mutex, MutexGuard};

/// Keys that can be changed at once. Two that fall together wait for each other, and no more.
const LANES: usize = 256;

/// Lanes in which keys wait, first come first served.
pub(super) struct Turns {
    lanes: Box<[Mutex<()>]>,
    hasher: RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        Turns { lanes: (0..LANES).map(|_| Mutex::default()).collect(), hasher: RandomState::default() }
    }
}

impl Turns {
    /// Waits for the turn of a subject, which ends with what is answered.
    pub(super) async fn wait(&self, subject: &str) -> MutexGuard<'_, ()> {
        let lane = self.hasher.hash_one(subject) % LANES as u64;
        self.lanes[usize::try_from(lane).unwrap_or(0)].lock().await
    }
}
