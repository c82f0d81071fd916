//! Opening a group's lane on a topic, and handing over the retries that are due.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_core::{Batch, BrokerError, Facts, Order, Pattern, Ranges, Receipt, Room, Start, Waiting, row::Row};
use tokio::sync::watch;

use super::broker::{Broker, Checked, Entry};
use super::catalog::topic_gone;
use super::read::{IdText, Read};
use super::tables::{LaneId, LaneRecord, Tables, TopicId};

type Result<T> = std::result::Result<T, BrokerError>;

/// A topic by its name.
type Named = (Arc<str>, TopicId);

/// What a subscriber asks of a lane.
#[derive(Debug, Clone)]
pub(super) struct OpenLane {
    pub(super) topic: TopicId,
    /// `None`: broadcast.
    pub(super) group: Option<Arc<str>>,
    /// Where a group without position begins; a broadcast with the oldest message or with the next.
    pub(super) start: Start,
    pub(super) window: u64,
    /// Whether waiting retries are listed.
    pub(super) order: Order,
    /// The lane that a broadcast had before, to go on with.
    pub(super) before: Option<LaneId>,
}

/// A lane as its subscriber finds it.
pub(super) struct Opened {
    pub(super) lane: LaneId,
    pub(super) topic: Arc<str>,
    pub(super) mark: u64,
    pub(super) finished: Ranges,
    pub(super) waiting: Vec<Waiting>,
    pub(super) crashes: Arc<HashMap<u64, u32>>,
    pub(super) newest: watch::Receiver<u64>,
    pub(super) due: watch::Receiver<u64>,
    /// Closed when the lane is taken away.
    pub(super) revoked: watch::Receiver<()>,
    pub(super) read: Arc<AtomicU64>,
}

impl<T: Tables> Broker<T> {
    /// Topics that a pattern means, by name. A plain name is made where that is allowed.
    pub(super) fn matching(&mut self, patterns: &[Pattern], now: u64) -> Result<Checked<Vec<Named>>> {
        let new = |name: &&str| !self.names.contains_key(*name);
        let new: Vec<&str> = patterns.iter().filter(|p| !p.is_wild()).map(Pattern::as_str).filter(new).collect();
        for name in &new {
            if let Err(what) = super::admit::check_name(name) {
                return Ok(Err(BrokerError::give_up(what)));
            }
            if !self.limits.auto_create {
                return Ok(Err(BrokerError::give_up(super::publish::no_such_topic(name))));
            }
        }
        for name in new {
            self.topic_or_new(name, now)?;
        }
        let meant = |name: &str| patterns.iter().any(|p| p.matches(name));
        let mut topics: Vec<_> = self.names.iter().filter(|(name, _)| meant(name)).map(|(name, id)| (name.clone(), *id)).collect();
        topics.sort();
        Ok(Ok(topics))
    }

    /// Opens the lane of a group, or one for a broadcast. Everything that an earlier owner held comes again.
    pub(super) fn open_lane(&mut self, open: &OpenLane, now: u64) -> Result<Checked<Opened>> {
        let id = match self.lane_for(open, now)? {
            Ok(id) => id,
            Err(refused) => return Ok(Err(refused)),
        };
        let waiting = if open.order == Order::None { Vec::new() } else { self.tables.waiting(id)? };
        let crashes = Arc::new(self.tables.crashes(id)?);
        let entry = self.lanes.get_mut(&id).expect("it was found or made above");
        entry.crashes = crashes;
        entry.cursor = (0, 0);
        entry.read.store(0, Ordering::Relaxed);
        if entry.ephemeral.is_none() && entry.record.window != open.window {
            entry.record.window = open.window;
            self.tables.put_lane(&entry.record)?;
        }
        self.wake.lanes.push(id);
        let topic = &self.topics[&open.topic];
        Ok(Ok(Opened {
            lane: id,
            topic: topic.record.name.clone(),
            mark: entry.record.mark,
            finished: entry.record.above.clone(),
            waiting,
            crashes: entry.crashes.clone(),
            newest: topic.newest.subscribe(),
            due: entry.due.subscribe(),
            revoked: entry.revoked.subscribe(),
            read: entry.read.clone(),
        }))
    }

    pub(super) fn lane_for(&mut self, open: &OpenLane, now: u64) -> Result<Checked<LaneId>> {
        let Some(topic) = self.topics.get(&open.topic) else { return Ok(Err(topic_gone())) };
        let (end, name) = (topic.record.next - 1, topic.record.name.clone());
        let Some(group) = &open.group else {
            if let Some(before) = open.before.filter(|lane| self.lanes.contains_key(lane)) {
                return Ok(Ok(before));
            }
            let mark = if open.start == Start::Earliest { 0 } else { end };
            return self.add_lane(open, "", mark, true, now).map(Ok);
        };
        match self.lane_of(group, open.topic) {
            Some(id) => Ok(Ok(id)),
            None => match self.first_mark(open, &name, group, end)? {
                Ok(mark) => self.add_lane(open, group, mark, false, now).map(Ok),
                Err(refused) => Ok(Err(refused)),
            },
        }
    }

    fn add_lane(&mut self, open: &OpenLane, group: &str, mark: u64, ephemeral: bool, now: u64) -> Result<LaneId> {
        let id = self.next_id();
        let above = Ranges::default();
        let record = LaneRecord { id, topic: open.topic, group: group.into(), mark, above, window: open.window, created_at: now };
        let mut entry = Entry::new(record);
        if ephemeral {
            entry.ephemeral = Some(entry.record.clone());
        } else {
            self.tables.put_lane(&entry.record)?;
        }
        self.lanes.insert(id, entry);
        Ok(id)
    }

    fn first_mark(&self, open: &OpenLane, topic: &str, group: &str, end: u64) -> Result<Checked<u64>> {
        Ok(match &open.start {
            Start::Earliest => Ok(0),
            Start::Latest => Ok(end),
            Start::Time(time) => Ok(self.mark_before(open.topic, *time)?),
            Start::Position(text) => match text.parse::<u64>() {
                Ok(position) => Ok(position.saturating_sub(1).min(end)),
                Err(_) => Err(BrokerError::give_up(format!("start position {text:?} of topic {topic:?} is no whole number"))),
            },
            Start::None => Err(BrokerError::give_up(format!(
                "group {group:?} has no position on topic {topic:?} and start = \"none\"; set one with `longshore groups seek {group} {topic} --to …`"
            ))),
        })
    }

    /// The mark behind which the first message at or after `time` comes next. Messages were appended in the order of their times.
    pub(super) fn mark_before(&self, topic: TopicId, time: u64) -> Result<u64> {
        let (mut low, mut high) = (0, self.topics[&topic].record.next - 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.tables.at_or_after(topic, middle + 1)? {
                Some((position, at)) if at < time => low = position.min(high),
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// Hands over retries that are due, in the order of their times, each once for each opening of the lane.
    pub(super) fn due(&mut self, lane: LaneId, room: Room, now: u64, into: &mut Batch) -> Result<Checked<()>> {
        let Some(entry) = self.lanes.get_mut(&lane) else { return Ok(Err(topic_gone())) };
        let topic = self.topics[&entry.record.topic].record.name.clone();
        let (mut ids, mut cursor) = (IdText::new(&topic), entry.cursor);
        self.tables.due(lane, entry.cursor, now, &mut |id, retry, row| {
            let Some(row) = Row::at(row, 0) else {
                tracing::error!(%topic, position = retry.position, "a message that waits for a retry is damaged and is left where it is");
                cursor = (retry.due, id);
                return true;
            };
            if into.len() >= room.messages || (!into.is_empty() && into.bytes() + row.size() > room.bytes) {
                return false;
            }
            let token = id.to_le_bytes();
            let receipt = Receipt { position: retry.position, token: &token };
            let facts = Facts {
                deliveries: retry.deliveries + 1,
                unanswered: retry.unanswered,
                redrives: retry.redrives,
                first_failed_at: retry.first_failed_at,
                ..Facts::default()
            };
            if row.id().is_empty() {
                into.push_row_with_id(row, ids.at(retry.position), retry.attempt, receipt, facts);
            } else {
                into.push_row(row, retry.attempt, receipt, facts);
            }
            cursor = (retry.due, id);
            true
        })?;
        entry.cursor = cursor;
        self.wake.lanes.push(lane);
        Ok(Ok(()))
    }

    /// A lane was left. A broadcast's is forgotten; of a group's it is stored that nobody holds anything, unless it was taken again.
    pub(super) fn leave_lane(&mut self, lane: LaneId, is_held: impl Fn(&Arc<str>, TopicId) -> bool) -> Result<()> {
        let Some(entry) = self.lanes.get_mut(&lane) else { return Ok(()) };
        if entry.ephemeral.is_some() {
            self.lanes.remove(&lane);
            return self.tables.drop_lane(lane);
        }
        if entry.record.window == 0 || is_held(&entry.record.group, entry.record.topic) {
            return Ok(());
        }
        entry.record.window = 0;
        self.tables.put_lane(&entry.record)
    }

    /// What reads of a topic need to know; `None` when it is gone.
    pub(super) fn reader_of(&self, name: &str) -> Option<Read> {
        let topic = self.topic_named(name)?;
        Some(Read::new(topic.record.id, topic.record.name.clone()))
    }

    /// Whoever wants to know of new messages of a topic.
    pub(super) fn newest_of(&self, name: &str) -> Option<watch::Receiver<u64>> {
        Some(self.topic_named(name)?.newest.subscribe())
    }
}

#[cfg(all(test, feature = "memory"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::local::{Limits, Signals};
    use crate::memory::MemoryTables;

    fn broker() -> Broker<MemoryTables> {
        let retention = Duration::from_secs(60);
        let limits = Limits { auto_create: true, max_message_size: 1000, retention, max_size: None, until_finished: false };
        Broker::new(MemoryTables::default(), limits, Vec::new(), Signals::default()).expect("memory is always there")
    }

    #[test]
    fn what_a_subscriber_gets_wrong_is_an_answer_and_changes_nothing() {
        let mut broker = broker();
        let patterns = ["good", "not good"].map(|name| Pattern::new(name).unwrap());
        let refused = broker.matching(&patterns, 1).expect("the transaction stands").unwrap_err();
        assert!(refused.what.contains("\"not good\""), "{refused}");
        assert!(broker.topics.is_empty(), "one of them was made");

        let (_, topic) = broker.matching(&patterns[..1], 1).unwrap().unwrap().remove(0);
        let open = |start| OpenLane { topic, group: Some("g".into()), start, window: 1, order: Order::None, before: None };
        for start in [Start::None, Start::Position("soon".into())] {
            broker.open_lane(&open(start), 1).expect("the transaction stands").err().expect("it is refused");
        }
        let nowhere = OpenLane { topic: topic + 1, ..open(Start::Latest) };
        broker.open_lane(&nowhere, 1).expect("the transaction stands").err().expect("it is refused");
        assert!(broker.lanes.is_empty());
    }
}
