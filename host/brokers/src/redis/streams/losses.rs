//! What was lost of a topic and its group: counted until the lane tells it, and told in the log at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::keys::LaneKeys;

/// Topics that are remembered.
const MAX_TOPICS: usize = 100_000;

/// What a lane has lost and not told yet.
#[derive(Default)]
pub(super) struct Losses {
    count: AtomicU64,
    /// Whether there is more than when a fetch last ended for it.
    news: AtomicBool,
}

impl Losses {
    /// Tells of messages that are gone, if there are any: `how`, as a sentence goes on.
    pub(super) fn add(&self, keys: &LaneKeys, count: u64, how: &str) {
        if count > 0 {
            tracing::error!(topic = %keys.topic, group = %keys.group, count, "entries {how}");
            self.count.fetch_add(count, Ordering::Relaxed);
            self.news.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a fetch should end so that they are told: once for what is new, whether somebody asks or not.
    pub(super) fn take_news(&self) -> bool {
        self.news.swap(false, Ordering::Relaxed)
    }

    /// How many since this was last asked.
    pub(super) fn take(&self) -> u64 {
        self.count.swap(0, Ordering::Relaxed)
    }
}

/// How far each stream was when somebody of this process looked last: its last id, and how many entries it ever had. A server that takes over
/// from another and knows of less has lost some.
#[derive(Default)]
pub(super) struct Seen(Mutex<HashMap<String, (String, u64)>>);

impl Seen {
    pub(super) fn note(&self, topic: &str, last: &str, added: u64) {
        let mut streams = self.streams();
        if streams.len() < MAX_TOPICS || streams.contains_key(topic) {
            streams.insert(topic.to_owned(), (last.to_owned(), added));
        }
    }

    /// Nothing and 0 where nobody looked.
    pub(super) fn of(&self, topic: &str) -> (String, u64) {
        self.streams().get(topic).cloned().unwrap_or_default()
    }

    /// What was seen is told of.
    pub(super) fn forget(&self, topic: &str) {
        self.streams().remove(topic);
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<String, (String, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
