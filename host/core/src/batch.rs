//! Messages as they travel through the host: packed rows in one growing buffer, with each row's start, receipt and facts beside it.

use crate::receipt::{Receipt, Receipts};
use crate::row::{self, ATTEMPT_AT, Message, Row};

/// What the host knows of a delivery beyond the message itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// How often the broker handed it over; 1 on first sight.
    pub deliveries: u32,
    /// How often in a row, before this time, it was handed over and nothing became of it: no outcome, not given back. 0 where the broker
    /// cannot tell.
    pub unanswered: u32,
    /// How often it was redriven from the dead letters.
    pub redrives: u32,
    /// Milliseconds since the Unix epoch of its first failure; 0 = none yet.
    pub first_failed_at: u64,
    /// Whether what came is no message: it was not written as one, and no later look will read it. It is never handed to a handler.
    pub undecodable: bool,
}

impl Default for Facts {
    fn default() -> Self {
        Facts { deliveries: 1, unanswered: 0, redrives: 0, first_failed_at: 0, undecodable: false }
    }
}

/// A growing run of deliveries. Adapters append borrowed bytes; nothing is allocated per message.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    rows: Vec<u8>,
    starts: Vec<u32>,
    receipts: Receipts,
    facts: Vec<Facts>,
}

impl Batch {
    /// Appends a delivery.
    pub fn push<'h, H>(&mut self, message: &Message<'_, H>, receipt: Receipt<'_>, facts: Facts)
    where
        H: IntoIterator<Item = (&'h str, &'h [u8])> + Clone,
    {
        self.begin(receipt, facts);
        row::append(&mut self.rows, message);
    }

    /// Appends a delivery whose row is packed already, with `attempt` in place of the row's own.
    pub fn push_row(&mut self, row: Row<'_>, attempt: u32, receipt: Receipt<'_>, facts: Facts) {
        let start = self.begin(receipt, facts);
        self.rows.extend_from_slice(row.bytes());
        self.set_attempt(start, attempt);
    }

    /// The same with `id` in place of the row's own: for brokers whose ids follow from where a message stands.
    pub fn push_row_with_id(&mut self, row: Row<'_>, id: &str, attempt: u32, receipt: Receipt<'_>, facts: Facts) {
        let start = self.begin(receipt, facts);
        row::append_with_id(&mut self.rows, row, id);
        self.set_attempt(start, attempt);
    }

    /// Appends a copy of the message at `index` of `from`.
    pub fn push_from(&mut self, from: &Batch, index: usize) {
        let row = from.row(index);
        self.push_row(row, row.attempt(), from.receipt(index), from.facts(index));
    }

    /// The row at `index`; panics beyond the end.
    pub fn row(&self, index: usize) -> Row<'_> {
        Row::new_unchecked(&self.rows, self.starts[index] as usize).expect("only whole rows are pushed")
    }

    /// A view of the message at `index`; panics beyond the end.
    pub fn get(&self, index: usize) -> Message<'_, row::Headers<'_>> {
        self.row(index).message()
    }

    /// The receipt at `index`; panics beyond the end.
    pub fn receipt(&self, index: usize) -> Receipt<'_> {
        self.receipts.get(index)
    }

    /// All receipts.
    pub fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// The facts at `index`; panics beyond the end.
    pub fn facts(&self, index: usize) -> Facts {
        self.facts[index]
    }

    /// The packed rows of the messages `from..to`, as a guest is given them.
    pub fn rows(&self, from: usize, to: usize) -> &[u8] {
        let start = self.starts.get(from).map_or(self.rows.len(), |s| *s as usize);
        let end = self.starts.get(to).map_or(self.rows.len(), |s| *s as usize);
        &self.rows[start..end]
    }

    /// How many messages.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> usize {
        self.rows.len()
    }

    /// Forgets the messages and keeps the memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.starts.clear();
        self.receipts.clear();
        self.facts.clear();
    }

    fn begin(&mut self, receipt: Receipt<'_>, facts: Facts) -> usize {
        let start = self.rows.len();
        self.starts.push(u32::try_from(start).expect("a batch is bounded far below 4 GiB"));
        self.receipts.push(receipt);
        self.facts.push(facts);
        start
    }

    fn set_attempt(&mut self, start: usize, attempt: u32) {
        self.rows[start + ATTEMPT_AT..start + ATTEMPT_AT + 4].copy_from_slice(&attempt.to_le_bytes());
    }
}
