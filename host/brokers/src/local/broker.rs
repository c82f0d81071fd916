//! The broker: its topics and lanes in memory, its rows in tables.
//!
//! What it does with them is in the files beside: publish, settle, lanes, catalog, groups, dead, retention. All of it is synchronous and runs
//! inside a transaction of the backend's. Whom to wake is collected and told once the transaction stands.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use longshore_core::{BrokerError, TopicSettings};
use tokio::sync::watch;

use super::admit::Limits;
use super::tables::{LaneId, LaneRecord, Tables, TopicId, TopicRecord};

type Result<T> = std::result::Result<T, BrokerError>;

/// What was asked for, or why it is refused. A refusal is an answer: the transaction stands, and with it what others do in it.
pub(super) type Checked<T> = std::result::Result<T, BrokerError>;

/// A value that no time or position reaches.
pub(super) const NEVER: u64 = u64::MAX;

/// A topic and whoever waits at it.
pub(super) struct Topic {
    pub(super) record: TopicRecord,
    /// Newest position. Closed when the topic is removed.
    pub(super) newest: watch::Sender<u64>,
    /// Bytes when retention last looked.
    pub(super) looked_at: u64,
}

/// A group's place on a topic and whoever works there.
pub(super) struct Entry {
    pub(super) record: LaneRecord,
    /// Broadcast: forgotten with its subscriber. Holds the record as of the last transaction that stood, as no table does.
    pub(super) ephemeral: Option<LaneRecord>,
    /// Retry that was handed over last: time and number.
    pub(super) cursor: (u64, u64),
    /// The cursor as of the last transaction that stood.
    pub(super) safe_cursor: (u64, u64),
    /// When the next retry is due.
    pub(super) due: watch::Sender<u64>,
    /// Closed to take the lane away from whoever has it.
    pub(super) revoked: watch::Sender<()>,
    /// Highest position that was handed over; 0 = nobody reads.
    pub(super) read: Arc<AtomicU64>,
    /// Deliveries that ended with the process.
    pub(super) crashes: Arc<HashMap<u64, u32>>,
}

/// What everybody watches.
#[derive(Clone)]
pub(crate) struct Signals {
    /// Counts up when topics come or go, or a lane becomes free.
    pub(crate) catalog: watch::Sender<u64>,
    /// When the next delayed message is due.
    pub(crate) delayed: watch::Sender<u64>,
}

impl Default for Signals {
    fn default() -> Self {
        Signals { catalog: watch::Sender::new(0), delayed: watch::Sender::new(NEVER) }
    }
}

/// Whom to wake once the transaction stands.
#[derive(Default)]
pub(super) struct Wake {
    pub(super) topics: Vec<TopicId>,
    pub(super) lanes: Vec<LaneId>,
    /// Lanes that are taken away.
    pub(super) revoked: Vec<LaneId>,
    pub(super) catalog: bool,
    pub(super) delayed: bool,
}

/// The broker over its tables.
pub(crate) struct Broker<T> {
    pub(super) tables: T,
    pub(super) limits: Limits,
    pub(super) configured: Vec<(String, TopicSettings)>,
    pub(super) topics: HashMap<TopicId, Topic>,
    pub(super) names: HashMap<Arc<str>, TopicId, foldhash::fast::RandomState>,
    pub(super) lanes: HashMap<LaneId, Entry>,
    pub(super) wake: Wake,
    pub(super) signals: Signals,
    pub(super) last_id: u64,
}

impl<T: Tables> Broker<T> {
    /// The broker as its tables say.
    pub(crate) fn new(tables: T, limits: Limits, configured: Vec<(String, TopicSettings)>, signals: Signals) -> Result<Self> {
        let mut broker = Broker {
            tables,
            limits,
            configured,
            topics: HashMap::new(),
            names: HashMap::default(),
            lanes: HashMap::new(),
            wake: Wake::default(),
            signals,
            last_id: 0,
        };
        broker.reload()?;
        broker.configure()?;
        broker.wake.delayed = true;
        Ok(broker)
    }

    /// Its tables.
    pub(crate) fn tables(&mut self) -> &mut T {
        &mut self.tables
    }

    /// Takes everything from the tables again, after a transaction that did not stand. Whoever waits goes on waiting.
    pub(crate) fn reload(&mut self) -> Result<()> {
        self.wake = Wake::default();
        let (topics, lanes) = (self.tables.topics()?, self.tables.lanes()?);
        let mut known = std::mem::take(&mut self.topics);
        self.names.clear();
        for record in topics {
            self.last_id = self.last_id.max(record.id);
            self.names.insert(record.name.clone(), record.id);
            let topic = match known.remove(&record.id) {
                Some(topic) => Topic { record, ..topic },
                None => Topic::new(record),
            };
            self.topics.insert(topic.record.id, topic);
        }
        let mut entries = std::mem::take(&mut self.lanes);
        for record in lanes {
            self.last_id = self.last_id.max(record.id);
            let entry = match entries.remove(&record.id) {
                Some(entry) => Entry { record, cursor: entry.safe_cursor, ..entry },
                None => Entry::new(record),
            };
            self.lanes.insert(entry.record.id, entry);
        }
        for (id, mut entry) in entries {
            if let Some(safe) = &entry.ephemeral {
                entry.record.clone_from(safe);
                entry.cursor = entry.safe_cursor;
                self.lanes.insert(id, entry);
            }
        }
        Ok(())
    }

    /// Wakes whoever has to know, now that the transaction stands.
    pub(crate) fn signal(&mut self) {
        for id in self.wake.topics.drain(..) {
            if let Some(topic) = self.topics.get(&id) {
                topic.newest.send_replace(topic.record.next - 1);
            }
        }
        for id in self.wake.lanes.drain(..) {
            if let Some(entry) = self.lanes.get_mut(&id) {
                entry.safe_cursor = entry.cursor;
                if let Some(safe) = &mut entry.ephemeral {
                    safe.clone_from(&entry.record);
                }
                entry.due.send_replace(or_now(self.tables.next_due(id, entry.cursor)));
            }
        }
        for id in self.wake.revoked.drain(..) {
            if let Some(entry) = self.lanes.get_mut(&id) {
                entry.revoked = watch::Sender::new(());
            }
        }
        if std::mem::take(&mut self.wake.catalog) {
            self.signals.catalog.send_modify(|count| *count += 1);
        }
        if std::mem::take(&mut self.wake.delayed) {
            self.signals.delayed.send_replace(or_now(self.tables.next_delayed()));
        }
    }

    /// A number for a topic or lane.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn topic_named(&self, name: &str) -> Option<&Topic> {
        self.topics.get(self.names.get(name)?)
    }

    pub(super) fn lane_of(&self, group: &str, topic: TopicId) -> Option<LaneId> {
        let found = self.lanes.values().find(|e| e.record.topic == topic && e.ephemeral.is_none() && &*e.record.group == group);
        found.map(|entry| entry.record.id)
    }
}

/// When something is due, or never. Now where that cannot be read: whoever looks then finds nothing, waits a little and looks again.
fn or_now(due: Result<Option<u64>>) -> u64 {
    due.map_or(0, |due| due.unwrap_or(NEVER))
}

impl Topic {
    pub(super) fn new(record: TopicRecord) -> Self {
        let newest = watch::Sender::new(record.next - 1);
        Topic { looked_at: 0, newest, record }
    }
}

impl Entry {
    pub(super) fn new(record: LaneRecord) -> Self {
        Entry {
            record,
            ephemeral: None,
            cursor: (0, 0),
            safe_cursor: (0, 0),
            due: watch::Sender::new(NEVER),
            revoked: watch::Sender::new(()),
            read: Arc::default(),
            crashes: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_looked_at_again() {
        assert_eq!([or_now(Ok(Some(7))), or_now(Ok(None)), or_now(Err(BrokerError::retry("busy")))], [7, NEVER, 0]);
    }
}
