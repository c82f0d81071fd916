//! Tables in memory. A step of theirs cannot fail, so there is nothing to roll back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use longshore_core::row::Row;
use longshore_core::{BrokerError, InboxKey, Waiting};

use super::log::Log;
use super::retries::Waiters;
use crate::local::{Delays, Inboxes, LaneId, LaneRecord, Lanes, Logs, Read, Removed, Retries, Retry, Tables, TopicId, TopicRecord};

type Result<T> = std::result::Result<T, BrokerError>;

/// Time and number: the order in which delayed messages come.
type Turn = (u64, u64);

/// Everything that a memory broker keeps. Topics and lanes are the broker's own; only what hangs on them is here.
#[derive(Default)]
pub(crate) struct MemoryTables {
    logs: HashMap<TopicId, Log>,
    waiters: HashMap<LaneId, Waiters>,
    done: HashMap<LaneId, HashMap<InboxKey, u64>>,
    /// The same by time, and what went with its lane.
    done_until: BTreeSet<(u64, LaneId, InboxKey)>,
    delayed: BTreeMap<Turn, (TopicId, Box<[u8]>)>,
    last: u64,
}

impl MemoryTables {
    /// Shows what `read` wants until `take` answers false. Says whether all was shown.
    pub(super) fn read(&self, read: &Read, take: &mut dyn FnMut(u64, Row<'_>) -> bool) -> bool {
        let Some(log) = self.logs.get(&read.topic) else { return true };
        if read.downwards {
            return log.downwards(read.from, take);
        }
        let mut below = true;
        log.upwards(read.from.saturating_add(1), &mut |position, row, _| {
            if position > read.until {
                return false;
            }
            below = take(position, row);
            below
        });
        below
    }
}

impl Logs for MemoryTables {
    fn topics(&mut self) -> Result<Vec<TopicRecord>> {
        Ok(Vec::new())
    }

    fn put_topic(&mut self, topic: &TopicRecord) -> Result<()> {
        self.logs.entry(topic.id).or_default();
        Ok(())
    }

    fn drop_topic(&mut self, topic: TopicId) -> Result<()> {
        self.logs.remove(&topic);
        Ok(())
    }

    fn clear(&mut self, topic: TopicId) -> Result<()> {
        self.logs.insert(topic, Log::default());
        Ok(())
    }

    fn append<'a>(&mut self, topic: TopicId, first: u64, now: u64, rows: impl Iterator<Item = Row<'a>>) -> Result<()> {
        self.logs.entry(topic).or_default().append(first, now, rows);
        Ok(())
    }

    fn row(&self, topic: TopicId, position: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.logs.get(&topic).and_then(|log| log.row(position)).map(|row| row.bytes().to_vec()))
    }

    fn at_or_after(&self, topic: TopicId, position: u64) -> Result<Option<(u64, u64)>> {
        let mut found = None;
        if let Some(log) = self.logs.get(&topic) {
            log.upwards(position, &mut |position, _, at| {
                found = Some((position, at));
                false
            });
        }
        Ok(found)
    }

    fn count_above(&self, topic: TopicId, position: u64) -> Result<u64> {
        let mut count = 0;
        if let Some(log) = self.logs.get(&topic) {
            log.upwards(position.saturating_add(1), &mut |_, _, _| {
                count += 1;
                true
            });
        }
        Ok(count)
    }

    fn remove_up_to(&mut self, topic: TopicId, up_to: u64, limit: u64) -> Result<Removed> {
        Ok(self.logs.get_mut(&topic).map(|log| log.remove_up_to(up_to, limit)).unwrap_or_default())
    }

    fn remove(&mut self, topic: TopicId, position: u64) -> Result<Removed> {
        Ok(self.logs.get_mut(&topic).map(|log| log.remove(position)).unwrap_or_default())
    }
}

impl Lanes for MemoryTables {
    fn lanes(&mut self) -> Result<Vec<LaneRecord>> {
        Ok(Vec::new())
    }

    fn put_lane(&mut self, _: &LaneRecord) -> Result<()> {
        Ok(())
    }

    fn drop_lane(&mut self, lane: LaneId) -> Result<()> {
        self.waiters.remove(&lane);
        self.done.remove(&lane);
        Ok(())
    }
}

impl Retries for MemoryTables {
    fn add_retry(&mut self, lane: LaneId, retry: &Retry, row: &[u8]) -> Result<()> {
        self.last += 1;
        self.waiters.entry(lane).or_default().add(self.last, *retry, row.into());
        Ok(())
    }

    fn postpone(&mut self, lane: LaneId, id: u64, due: u64, attempt: u32, first_failed_at: u64) -> Result<()> {
        if let Some(waiters) = self.waiters.get_mut(&lane)
            && let Some((retry, row)) = waiters.take(id)
        {
            let deliveries = retry.deliveries + 1;
            waiters.add(id, Retry { due, attempt, first_failed_at, deliveries, unanswered: 0, ..retry }, row);
        }
        Ok(())
    }

    fn end_retry(&mut self, lane: LaneId, id: u64) -> Result<()> {
        if let Some(waiters) = self.waiters.get_mut(&lane) {
            waiters.take(id);
        }
        Ok(())
    }

    fn due(&self, lane: LaneId, after: (u64, u64), now: u64, each: &mut dyn FnMut(u64, &Retry, &[u8]) -> bool) -> Result<()> {
        if let Some(waiters) = self.waiters.get(&lane) {
            let due = waiters.behind(after).take_while(|(_, retry, _)| retry.due <= now);
            for (id, retry, row) in due {
                if !each(id, retry, row) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn next_due(&self, lane: LaneId, after: (u64, u64)) -> Result<Option<u64>> {
        Ok(self.waiters.get(&lane).and_then(|waiters| waiters.behind(after).next().map(|(_, retry, _)| retry.due)))
    }

    fn waits_at(&self, lane: LaneId, position: u64) -> Result<bool> {
        Ok(self.waiters.get(&lane).is_some_and(|waiters| waiters.has(position)))
    }

    fn waiting(&self, lane: LaneId) -> Result<Vec<Waiting>> {
        Ok(self.waiters.get(&lane).map(Waiters::list).unwrap_or_default())
    }

    fn count_retries(&self, lane: LaneId) -> Result<u64> {
        Ok(self.waiters.get(&lane).map_or(0, |waiters| waiters.len() as u64))
    }

    fn clear_retries(&mut self, lane: LaneId) -> Result<()> {
        self.waiters.remove(&lane);
        Ok(())
    }
}

impl Delays for MemoryTables {
    fn next_delay(&mut self) -> Result<u64> {
        self.last += 1;
        Ok(self.last)
    }

    fn add_delay(&mut self, id: u64, topic: TopicId, due: u64, row: &[u8]) -> Result<()> {
        self.delayed.insert((due, id), (topic, row.into()));
        Ok(())
    }

    fn take_due(&mut self, now: u64, limit: usize) -> Result<Vec<(TopicId, Vec<u8>)>> {
        let mut taken = Vec::new();
        while let Some(first) = self.delayed.first_entry()
            && first.key().0 <= now
            && taken.len() < limit
        {
            let (topic, row) = first.remove();
            taken.push((topic, row.into_vec()));
        }
        Ok(taken)
    }

    fn next_delayed(&self) -> Result<Option<u64>> {
        Ok(self.delayed.first_key_value().map(|((due, _), _)| *due))
    }

    fn count_delays(&self, topic: TopicId) -> Result<u64> {
        Ok(self.delayed.values().filter(|(of, _)| *of == topic).count() as u64)
    }

    fn clear_delays(&mut self, topic: TopicId) -> Result<()> {
        self.delayed.retain(|_, (of, _)| *of != topic);
        Ok(())
    }
}

impl Inboxes for MemoryTables {
    fn remembers(&self, lane: LaneId, key: &InboxKey, now: u64) -> Result<bool> {
        Ok(self.done.get(&lane).and_then(|done| done.get(key)).is_some_and(|until| *until > now))
    }

    fn remember(&mut self, lane: LaneId, key: &InboxKey, until: u64) -> Result<()> {
        if let Some(before) = self.done.entry(lane).or_default().insert(*key, until) {
            self.done_until.remove(&(before, lane, *key));
        }
        self.done_until.insert((until, lane, *key));
        Ok(())
    }

    fn forget_until(&mut self, now: u64, limit: u64) -> Result<u64> {
        let mut gone = 0;
        while gone < limit
            && let Some((until, lane, key)) = self.done_until.first().copied()
            && until <= now
        {
            self.done_until.remove(&(until, lane, key));
            if let Some(done) = self.done.get_mut(&lane) {
                done.remove(&key);
            }
            gone += 1;
        }
        Ok(gone)
    }
}

impl Tables for MemoryTables {}
