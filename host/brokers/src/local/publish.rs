//! Taking messages into logs, at once or when their time has come.

use std::ops::Range;

use longshore_core::row::{self, Row};
use longshore_core::{BrokerError, Outbox, PublishError};

use super::admit::{admit, check_name, is_inbox};
use super::broker::{Broker, NEVER, Topic};
use super::read::id_at;
use super::tables::{Tables, TopicId, TopicRecord};

type Result<T> = std::result::Result<T, BrokerError>;

/// Delayed messages that are released in one transaction.
const RELEASE_STEP: usize = 1000;

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// A topic that exists.
    Topic(TopicId),
    /// A topic that is made for it.
    NewTopic,
    /// A requester of this process; nothing to store.
    Inbox,
}

impl<T: Tables> Broker<T> {
    /// Takes what can be taken and answers for each: where it was placed, or why not. What goes to an inbox is left to the caller.
    pub(super) fn publish(&mut self, outbox: &Outbox, now: u64) -> Result<Vec<std::result::Result<Placed, PublishError>>> {
        let mut answers = Vec::with_capacity(outbox.len());
        let mut i = 0;
        while i < outbox.len() {
            match self.route(outbox.row(i), outbox.delay(i)) {
                Err(error) => answers.push(Err(error)),
                Ok(Route::Inbox) => answers.push(Ok(Placed::Inbox)),
                Ok(_) => {
                    let end = run_from(outbox, i, |row| admit(row, 0, &self.limits).is_ok());
                    self.place(outbox, i..end, now, |placed| answers.push(Ok(placed)))?;
                    i = end;
                    continue;
                }
            }
            i += 1;
        }
        Ok(answers)
    }

    /// Where a message goes, or why nowhere.
    pub(super) fn route(&self, row: Row<'_>, delay: u64) -> std::result::Result<Route, PublishError> {
        admit(row, delay, &self.limits)?;
        let name = row.topic();
        if let Some(id) = self.names.get(name) {
            return Ok(Route::Topic(*id));
        }
        if is_inbox(name) {
            return Ok(Route::Inbox);
        }
        check_name(name).map_err(PublishError::Invalid)?;
        if !self.limits.auto_create {
            return Err(PublishError::Invalid(no_such_topic(name)));
        }
        Ok(Route::NewTopic)
    }

    /// Places a run of messages, as [`run_from`] tells them, that was admitted. `placed` sees each.
    pub(super) fn place(&mut self, outbox: &Outbox, run: Range<usize>, now: u64, mut placed: impl FnMut(Placed)) -> Result<()> {
        let row = outbox.row(run.start);
        let topic = self.topic_or_new(row.topic(), now)?;
        if outbox.delay(run.start) > 0 {
            let id = self.delay(topic, row, now.saturating_add(outbox.delay(run.start)).saturating_add(1), now)?;
            placed(Placed::Later(id));
            return Ok(());
        }
        let first = self.append(topic, now, run.clone().map(|i| outbox.row(i)))?;
        (first..first + run.len() as u64).for_each(|position| placed(Placed::At(position)));
        Ok(())
    }

    /// Appends rows to a topic and answers the position of the first.
    pub(super) fn append<'a>(&mut self, topic: TopicId, now: u64, rows: impl Iterator<Item = Row<'a>>) -> Result<u64> {
        let record = &mut self.topics.get_mut(&topic).expect("routes lead to topics that exist").record;
        let (first, mut count, mut bytes) = (record.next, 0, 0);
        let rows = rows.inspect(|row| {
            count += 1;
            bytes += row.size() as u64;
        });
        self.tables.append(topic, first, now, rows)?;
        record.next += count;
        record.messages += count;
        record.bytes += bytes;
        if self.wake.topics.last() != Some(&topic) {
            self.wake.topics.push(topic);
        }
        self.look_at_size(topic, now)?;
        Ok(first)
    }

    fn delay(&mut self, topic: TopicId, row: Row<'_>, due: u64, now: u64) -> Result<u64> {
        let id = self.tables.next_delay()?;
        let mut scratch = Vec::new();
        let stamped = super::tables::stamped(row, now, &mut scratch);
        if row.id().is_empty() {
            let mut named = Vec::new();
            let row = Row::at(stamped, 0).expect("a stamp changes no length");
            row::append_with_id(&mut named, row, &later_id(row.topic(), id));
            self.tables.add_delay(id, topic, due, &named)?;
        } else {
            self.tables.add_delay(id, topic, due, stamped)?;
        }
        self.wake.delayed = true;
        Ok(id)
    }

    /// Moves some delayed messages whose time has come into their logs. Says how many there were.
    pub(crate) fn release(&mut self, now: u64) -> Result<usize> {
        let taken = self.tables.take_due(now, RELEASE_STEP)?;
        for (topic, bytes) in &taken {
            let Some(record) = self.topics.get(topic).map(|topic| &topic.record) else { continue };
            if let Some(row) = Row::at(bytes, 0) {
                self.append(*topic, now, std::iter::once(row))?;
            } else {
                tracing::error!(topic = %record.name, "a delayed message is damaged and is left where it is");
                let id = self.tables.next_delay()?;
                self.tables.add_delay(id, *topic, NEVER, bytes)?;
            }
        }
        self.wake.delayed = true;
        Ok(taken.len())
    }

    /// The topic of that name, made if it is not there.
    pub(super) fn topic_or_new(&mut self, name: &str, now: u64) -> Result<TopicId> {
        if let Some(id) = self.names.get(name) {
            return Ok(*id);
        }
        let id = self.next_id();
        let settings = self.configured.iter().find(|(n, _)| n == name).map(|(_, s)| s.clone()).unwrap_or_default();
        let record = TopicRecord { id, name: name.into(), created_at: now, next: 1, messages: 0, bytes: 0, settings };
        self.tables.put_topic(&record)?;
        self.names.insert(record.name.clone(), id);
        self.topics.insert(id, Topic::new(record));
        self.wake.catalog = true;
        Ok(id)
    }
}

/// Where a message was placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// In the log, at that position.
    At(u64),
    /// Among the delayed, under that number.
    Later(u64),
    /// Nowhere: whoever waits for it is in this process.
    Inbox,
}

impl Placed {
    /// The id that readers will see of a message that was published as `row`; none of one for an inbox.
    pub(super) fn id(self, row: Row<'_>) -> String {
        match self {
            Placed::Inbox => String::new(),
            _ if row.id_length() > 0 => row.id().into(),
            Placed::At(position) => id_at(row.topic(), position),
            Placed::Later(id) => later_id(row.topic(), id),
        }
    }
}

/// The end of the run of messages from `from` on that go to the same topic at once, or of the one that is delayed.
pub(super) fn run_from(outbox: &Outbox, from: usize, good: impl Fn(Row<'_>) -> bool) -> usize {
    let first = outbox.row(from);
    let same = |i: &usize| {
        let row = outbox.row(*i);
        outbox.delay(*i) == 0 && row.shares_topic(first) && good(row)
    };
    let rest = if outbox.delay(from) > 0 { 0 } else { (from + 1..outbox.len()).take_while(same).count() };
    from + 1 + rest
}

/// The refusal of a topic that nobody made.
pub(super) fn no_such_topic(name: &str) -> String {
    format!("no topic {name:?}, and auto-create-topics is off; make it with `longshore topics create {name}`")
}

/// The id of a message that has no position yet.
fn later_id(topic: &str, id: u64) -> String {
    format!("{topic}/later-{id}")
}
