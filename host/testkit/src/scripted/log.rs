//! The log: messages by position, and what the group has finished of them.

use std::collections::BTreeMap;

use longshore_core::{Batch, Facts, Message, Ranges, Receipt, Waiting};

use super::{NewMessage, TOPIC, UNDECODABLE};

/// One message in a partition.
pub(crate) struct Entry {
    pub(crate) number: u32,
    /// The packed row, alone in its batch.
    pub(crate) row: Batch,
    pub(crate) attempt: u32,
    pub(crate) first_failed_at: u64,
    pub(crate) deliveries: u32,
    pub(crate) unanswered: u32,
    /// When it comes again, as long as it waits for a retry or that retry is not finished.
    pub(crate) due: Option<u64>,
    /// Finished. Where there is a mark, that says so instead for messages that are not retries.
    pub(crate) ended: bool,
    /// The lane that has it.
    pub(crate) held_by: Option<u32>,
    /// Which hand-over that was.
    pub(crate) token: u64,
    pub(crate) lent_until: Option<u64>,
    /// Lanes that still have it, though their lease ran out.
    pub(crate) lapsed: Vec<u32>,
}

impl Entry {
    pub(crate) fn key(&self) -> Option<Vec<u8>> {
        self.row.row(0).key().map(Into::into)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.row.bytes()
    }

    /// Appends it to what a lane is given.
    pub(crate) fn hand_over(&mut self, lane: u32, token: u64, position: u64, lent_until: Option<u64>, into: &mut Batch) {
        self.held_by = Some(lane);
        self.token = token;
        self.lent_until = lent_until;
        self.deliveries += 1;
        let facts = Facts {
            deliveries: self.deliveries,
            unanswered: self.unanswered,
            redrives: 0,
            first_failed_at: self.first_failed_at,
            undecodable: self.row.row(0).header(UNDECODABLE).is_some(),
        };
        into.push_row(self.row.row(0), self.attempt, Receipt { position, token: &token.to_le_bytes() }, facts);
    }

    /// The hand-over ended with an outcome, or the message was given back.
    pub(crate) fn answered(&mut self) {
        self.held_by = None;
        self.lent_until = None;
        self.unanswered = 0;
    }
}

/// One partition, with the group's place in it.
#[derive(Default)]
pub(crate) struct Partition {
    pub(crate) entries: BTreeMap<u64, Entry>,
    pub(crate) mark: u64,
    pub(crate) above: Ranges,
    pub(crate) newest: u64,
}

impl Partition {
    pub(crate) fn covers(&self, position: u64) -> bool {
        position <= self.mark || self.above.contains(position)
    }

    pub(crate) fn waiting(&self) -> Vec<Waiting> {
        let waiting = self.entries.iter().filter(|(_, e)| e.due.is_some() && !e.ended);
        waiting.map(|(position, e)| Waiting { position: *position, key: e.key() }).collect()
    }
}

/// All partitions.
pub(crate) struct Log {
    pub(crate) partitions: Vec<Partition>,
    numbers: u32,
    pub(crate) tokens: u64,
}

impl Log {
    pub(crate) fn new(partitions: usize) -> Self {
        Log { partitions: (0..partitions).map(|_| Partition::default()).collect(), numbers: 0, tokens: 0 }
    }

    pub(crate) fn append(&mut self, message: &NewMessage, now: u64, gap: bool) -> (u32, u32, u64) {
        let at = message.partition % self.partitions.len();
        self.numbers += 1;
        let partition = &mut self.partitions[at];
        partition.newest += 1 + u64::from(gap) * 3;
        let mut row = Batch::default();
        let id = format!("{TOPIC}/{}", self.numbers);
        let headers = message.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let packed = Message {
            id: &id,
            topic: TOPIC,
            key: message.key.as_ref().map(String::as_bytes),
            payload: Some(&message.payload),
            headers,
            timestamp: now,
            attempt: 1,
        };
        row.push(&packed, Receipt { position: 0, token: &[] }, Facts::default());
        let entry = Entry {
            number: self.numbers,
            row,
            attempt: 1,
            first_failed_at: 0,
            deliveries: 0,
            unanswered: 0,
            due: None,
            ended: false,
            held_by: None,
            token: 0,
            lent_until: None,
            lapsed: Vec::new(),
        };
        partition.entries.insert(partition.newest, entry);
        (self.numbers, u32::try_from(at).expect("few partitions"), partition.newest)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.partitions.iter().flat_map(|p| p.entries.values())
    }

    pub(crate) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.partitions.iter_mut().flat_map(|p| p.entries.values_mut())
    }

    pub(crate) fn unfinished(&self) -> Vec<u32> {
        self.entries().filter(|e| !e.ended).map(|e| e.number).collect()
    }

    pub(crate) fn held(&self) -> Vec<u32> {
        self.entries().filter(|e| e.held_by.is_some()).map(|e| e.number).collect()
    }
}

/// The number of the message with that id.
pub(crate) fn number_of(id: &str) -> u32 {
    id.split('/').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}
