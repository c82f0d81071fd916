//! Wakes the lanes of this process when something of their topic has a time to come. Other hosts find out by looking once a second.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::Outbox;
use tokio::sync::watch;
use tokio::time::Instant;

/// When somebody should look, for each topic that somebody reads.
#[derive(Default)]
pub(super) struct Alarms {
    topics: Mutex<HashMap<String, watch::Sender<Option<Instant>>>>,
}

impl Alarms {
    /// Hears the alarms of a topic.
    pub(super) fn listen(&self, topic: &str) -> Alarm {
        let mut topics = self.topics();
        topics.retain(|_, sender| sender.receiver_count() > 0);
        Alarm(topics.entry(topic.to_owned()).or_default().subscribe())
    }

    /// Something of the topic comes after `delay`.
    pub(super) fn set(&self, topic: &str, delay: Duration) {
        let Some(sender) = self.topics().get(topic).cloned() else { return };
        let now = Instant::now();
        let Some(at) = now.checked_add(delay) else { return };
        // An earlier time that is still to come stays: whoever looks then learns of the later one.
        sender.send_modify(|alarm| *alarm = Some(alarm.filter(|earlier| *earlier > now).map_or(at, |earlier| earlier.min(at))));
    }

    /// What was settled so comes again the soonest after so many milliseconds, and some of the outputs after their delays.
    pub(super) fn set_for(&self, topic: &str, soonest: Option<u64>, outputs: &Outbox) {
        if let Some(millis) = soonest {
            self.set(topic, Duration::from_millis(millis));
        }
        for i in (0..outputs.len()).filter(|i| outputs.delay(*i) > 0) {
            self.set(outputs.row(i).topic(), Duration::from_millis(outputs.delay(i)));
        }
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Option<Instant>>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The alarms of one topic, as a lane hears them.
pub(super) struct Alarm(watch::Receiver<Option<Instant>>);

impl Alarm {
    /// When to look, where that was told since it was last heard.
    pub(super) fn heard(&mut self) -> Option<Instant> {
        if self.0.has_changed().unwrap_or(false) { *self.0.borrow_and_update() } else { None }
    }

    /// Waits until it is told when to look. Cancel-safe.
    pub(super) async fn next(&mut self) -> Instant {
        loop {
            if self.0.changed().await.is_err() {
                // Nobody can tell any more: the process ends.
                std::future::pending::<()>().await;
            }
            // Waiting has heard it already, so it must not be asked for again.
            if let Some(at) = *self.0.borrow_and_update() {
                return at;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_alarm_is_heard_once_by_who_waits_for_it_and_by_who_asks() {
        let (alarms, now) = (Alarms::default(), Instant::now());
        let (mut waits, mut asks) = (alarms.listen("t"), alarms.listen("t"));
        assert_eq!(asks.heard(), None);
        alarms.set("t", Duration::from_millis(20));
        let at = now + Duration::from_millis(20);
        assert_eq!((waits.next().await, asks.heard()), (at, Some(at)));
        assert_eq!((waits.heard(), asks.heard()), (None, None));
        alarms.set("t", Duration::from_millis(10));
        assert_eq!(waits.next().await, now + Duration::from_millis(10), "an earlier one is told too");
        alarms.set("other", Duration::ZERO);
        assert_eq!(waits.heard(), None);
    }
}
