//! Reading a log: what is asked for, and how rows become deliveries. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use longshore_core::row::Row;
use longshore_core::{Batch, Facts, Ranges, Receipt, Room};

use super::tables::TopicId;

/// What a lane knew of its messages when it was opened.
#[derive(Debug, Default)]
pub(crate) struct Beginning {
    /// Finished before, above the mark: not brought again.
    pub(crate) finished: Ranges,
    /// Deliveries that ended with the process, by position.
    pub(crate) crashes: Arc<HashMap<u64, u32>>,
}

/// A wish to read.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) topic: TopicId,
    pub(crate) name: Arc<str>,
    /// Without this position.
    pub(crate) from: u64,
    /// Not above this position.
    pub(crate) until: u64,
    /// Whether towards older messages: from below `from`, and `until` means nothing.
    pub(crate) downwards: bool,
    pub(crate) room: Room,
    pub(crate) beginning: Arc<Beginning>,
}

impl Read {
    /// A wish to read a topic from its beginning, with no room yet.
    pub(super) fn new(topic: TopicId, name: Arc<str>) -> Self {
        let room = Room { messages: 0, bytes: 0 };
        Read { topic, name, from: 0, until: u64::MAX, downwards: false, room, beginning: Arc::default() }
    }
}

/// Turns rows of a log into deliveries until there is no more room.
pub(crate) struct Filler<'a> {
    read: &'a Read,
    ids: IdText,
    batch: Batch,
    last: Option<u64>,
}

/// What a reading brought.
#[derive(Debug)]
pub(crate) struct Got {
    /// The deliveries.
    pub(crate) batch: Batch,
    /// Everything up to here was looked at.
    pub(crate) up_to: u64,
}

impl<'a> Filler<'a> {
    /// Fills `batch`, which is empty.
    pub(crate) fn new(read: &'a Read, batch: Batch) -> Self {
        Filler { ids: IdText::new(&read.name), read, batch, last: None }
    }

    /// Takes the row at a position; false when there is no room for it, or none after it.
    pub(crate) fn take(&mut self, position: u64, row: Row<'_>) -> bool {
        let beginning = &self.read.beginning;
        if !self.batch.is_empty() && self.batch.bytes() + row.size() > self.read.room.bytes {
            return false;
        }
        self.last = Some(position);
        if !beginning.finished.is_empty() && beginning.finished.contains(position) {
            return true;
        }
        let crashes = if beginning.crashes.is_empty() { 0 } else { beginning.crashes.get(&position).copied().unwrap_or(0) };
        let facts = Facts { deliveries: 1 + crashes, unanswered: crashes, ..Facts::default() };
        let receipt = Receipt { position, token: &[] };
        if row.id_length() == 0 {
            self.batch.push_row_with_id(row, self.ids.at(position), 1, receipt, facts);
        } else {
            self.batch.push_row(row, 1, receipt, facts);
        }
        self.batch.len() < self.read.room.messages
    }

    /// What was filled. `all`: there were no more rows.
    pub(crate) fn finish(self, all: bool) -> Got {
        let up_to = if all { self.read.until } else { self.last.unwrap_or(self.read.from) };
        Got { batch: self.batch, up_to }
    }
}

/// Ids made of topic and position, in one buffer.
pub(super) struct IdText {
    text: String,
    prefix: usize,
}

impl IdText {
    pub(super) fn new(topic: &str) -> Self {
        let mut text = String::with_capacity(topic.len() + 21);
        text.push_str(topic);
        text.push('/');
        IdText { prefix: text.len(), text }
    }

    /// The id of the message at `position`.
    pub(super) fn at(&mut self, position: u64) -> &str {
        self.text.truncate(self.prefix);
        push_number(&mut self.text, position);
        &self.text
    }
}

/// The id of the message at `position` of `topic`, alone.
pub(super) fn id_at(topic: &str, position: u64) -> String {
    let mut ids = IdText::new(topic);
    push_number(&mut ids.text, position);
    ids.text
}

/// Appends the digits of a number: twice as fast as `write!`, and there is one for each message.
fn push_number(text: &mut String, number: u64) {
    let (mut digits, mut first, mut rest) = ([0u8; 20], 20, number);
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.push_str(std::str::from_utf8(&digits[first..]).expect("digits are text"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_topic_and_position() {
        let mut ids = IdText::new("a.b");
        for (position, id) in [(1, "a.b/1"), (42, "a.b/42"), (u64::MAX, "a.b/18446744073709551615"), (0, "a.b/0")] {
            assert_eq!((ids.at(position), id_at("a.b", position).as_str()), (id, id));
        }
    }
}
