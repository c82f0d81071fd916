//! What the host is about to publish: packed rows with their delays, on the way from the engine (or a guest's `send`) to a broker.

use crate::batch::{Batch, Facts};
use crate::receipt::Receipt;
use crate::row::{self, Message, Row};

/// Messages to publish, in order. Topics are the broker's own names; an empty id is the broker's to give.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    messages: Batch,
    delays: Vec<u64>,
}

impl Outbox {
    /// Appends a message that is to be delivered not before `delay` milliseconds from now. `origin` is the position of the delivery that
    /// it comes from, 0 where there is none.
    pub fn push<'h, H>(&mut self, message: &Message<'_, H>, delay: u64, origin: u64)
    where
        H: IntoIterator<Item = (&'h str, &'h [u8])> + Clone,
    {
        self.messages.push(message, Receipt { position: origin, token: &[] }, Facts::default());
        self.delays.push(delay);
    }

    /// Appends all of `other`.
    pub fn append(&mut self, other: &Outbox) {
        for i in 0..other.len() {
            self.messages.push_from(&other.messages, i);
        }
        self.delays.extend_from_slice(&other.delays);
    }

    /// The row at `index`; panics beyond the end.
    pub fn row(&self, index: usize) -> Row<'_> {
        self.messages.row(index)
    }

    /// The message at `index`; panics beyond the end.
    pub fn get(&self, index: usize) -> Message<'_, row::Headers<'_>> {
        self.messages.get(index)
    }

    /// Milliseconds to wait before delivery; 0 = none.
    pub fn delay(&self, index: usize) -> u64 {
        self.delays[index]
    }

    /// Position of the delivery that the message comes from; 0 = none.
    pub fn origin(&self, index: usize) -> u64 {
        self.messages.receipt(index).position
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.delays.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.delays.is_empty()
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> usize {
        self.messages.bytes()
    }

    /// Forgets the messages and keeps the memory.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.delays.clear();
    }
}
