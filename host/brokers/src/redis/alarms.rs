//! Wakes the lanes of this process when something of their topic has a time to come. Other hosts find out by looking once a second.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// When somebody should look, for each topic that somebody reads.
#[derive(Default)]
pub(super) struct Alarms {
    topics: Mutex<HashMap<String, watch::Sender<Option<Instant>>>>,
}

impl Alarms {
    /// Hears the alarms of a topic.
    pub(super) fn listen(&self, topic: &str) -> watch::Receiver<Option<Instant>> {
        let mut topics = self.topics();
        topics.retain(|_, sender| sender.receiver_count() > 0);
        topics.entry(topic.to_owned()).or_default().subscribe()
    }

    /// Something of the topic comes after `delay`.
    pub(super) fn set(&self, topic: &str, delay: Duration) {
        let Some(sender) = self.topics().get(topic).cloned() else { return };
        let now = Instant::now();
        let Some(at) = now.checked_add(delay) else { return };
        // An earlier time that is still to come stays: whoever looks then learns of the later one.
        sender.send_modify(|alarm| *alarm = Some(alarm.filter(|earlier| *earlier > now).map_or(at, |earlier| earlier.min(at))));
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Option<Instant>>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
