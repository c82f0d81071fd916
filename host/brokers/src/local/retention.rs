//! Which messages go: too old, too many bytes, or finished by every group. A little at a time.
//!
//! Nothing goes that a live lane holds, and retries have rows of their own.

use std::sync::atomic::Ordering;
use std::time::Duration;

use longshore_core::BrokerError;

use super::broker::Broker;
use super::tables::{Removed, Tables, TopicId};

type Result<T> = std::result::Result<T, BrokerError>;

/// Messages that are removed in one transaction.
const STEP: u64 = 5_000;
/// Bytes that a topic may grow before it is looked at without waiting for the next round.
const LOOK: u64 = 4 << 20;

impl<T: Tables> Broker<T> {
    /// Removes some of what may go, over all topics, and gives space back. Says whether there is more.
    pub(super) fn trim(&mut self, now: u64) -> Result<bool> {
        let topics: Vec<TopicId> = self.topics.keys().copied().collect();
        let mut more = false;
        for topic in topics {
            more |= self.trim_topic(topic, now)?;
        }
        more |= self.forget_done(now)?;
        Ok(more | self.tables.tidy()?)
    }

    /// Trims a topic that has grown much since it was looked at.
    pub(super) fn look_at_size(&mut self, topic: TopicId, now: u64) -> Result<()> {
        let entry = self.topics.get_mut(&topic).expect("the caller found it");
        if entry.record.bytes < entry.looked_at.saturating_add(LOOK) {
            return Ok(());
        }
        self.trim_topic(topic, now)?;
        self.save_counts(topic)?;
        let entry = self.topics.get_mut(&topic).expect("trimming removes no topic");
        entry.looked_at = entry.record.bytes;
        Ok(())
    }

    fn trim_topic(&mut self, topic: TopicId, now: u64) -> Result<bool> {
        let boundary = self.boundary(topic, now)?.min(self.held_from(topic));
        let Some((oldest, _)) = self.tables.at_or_after(topic, 0)? else { return Ok(false) };
        if boundary < oldest {
            return Ok(false);
        }
        let removed = self.tables.remove_up_to(topic, boundary, STEP)?;
        self.count_off(topic, removed);
        self.save_counts(topic)?;
        self.warn_of_unfinished(topic, oldest, removed);
        Ok(removed.messages == STEP)
    }

    /// Position up to which messages may go.
    fn boundary(&self, topic: TopicId, now: u64) -> Result<u64> {
        let record = &self.topics[&topic].record;
        let settings = &record.settings;
        let age = settings.retention.unwrap_or(self.limits.retention);
        let mut boundary = self.mark_before(topic, now.saturating_sub(millis(age)))?;
        if let Some(max) = settings.max_size.or(self.limits.max_size)
            && record.bytes > max
            && let Some((oldest, _)) = self.tables.at_or_after(topic, 0)?
        {
            // By the mean size: what is still too much goes with the next step.
            let spare = (record.bytes - max) as f64 / record.bytes as f64;
            let messages = ((record.messages as f64 * spare).ceil() as u64).max(1);
            boundary = boundary.max(oldest - 1 + messages);
        }
        if settings.until_finished || self.limits.until_finished {
            boundary = boundary.max(self.finished_by_all(topic));
        }
        Ok(boundary.min(record.next - 1))
    }

    /// Position that every group has passed; 0 where there is no group yet.
    fn finished_by_all(&self, topic: TopicId) -> u64 {
        self.lanes.values().filter(|entry| entry.record.topic == topic).map(|entry| entry.record.mark).min().unwrap_or(0)
    }

    /// Position up to which no live lane holds anything.
    fn held_from(&self, topic: TopicId) -> u64 {
        let holding = self.lanes.values().filter(|e| e.record.topic == topic && e.read.load(Ordering::Relaxed) > e.record.mark);
        holding.map(|entry| entry.record.mark).min().unwrap_or(u64::MAX)
    }

    fn warn_of_unfinished(&self, topic: TopicId, oldest: u64, removed: Removed) {
        let last = oldest + removed.messages.saturating_sub(1);
        for entry in self.lanes.values().filter(|e| e.record.topic == topic && e.ephemeral.is_none() && e.record.mark < last) {
            let (topic, group) = (&self.topics[&topic].record.name, &entry.record.group);
            tracing::warn!(%topic, %group, messages = removed.messages, "retention removed messages that the group had not finished");
        }
    }

    /// Takes removed messages off a topic's counts.
    pub(super) fn count_off(&mut self, topic: TopicId, removed: Removed) {
        let entry = self.topics.get_mut(&topic).expect("the caller found it");
        entry.record.messages = entry.record.messages.saturating_sub(removed.messages);
        entry.record.bytes = entry.record.bytes.saturating_sub(removed.bytes);
        entry.looked_at = entry.looked_at.min(entry.record.bytes);
    }

    /// Stores a topic's counts with the transaction that changed them.
    pub(super) fn save_counts(&mut self, topic: TopicId) -> Result<()> {
        self.tables.put_topic(&self.topics[&topic].record)
    }

    /// Stores the counts of all topics.
    #[cfg(feature = "embedded")]
    pub(crate) fn save_all_counts(&mut self) -> Result<()> {
        self.topics.values().try_for_each(|topic| self.tables.put_topic(&topic.record))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
