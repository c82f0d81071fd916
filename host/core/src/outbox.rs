//! What the host is about to publish: packed rows with their delays, on the way from the engine (or a guest's `send`) to a broker.

use std::sync::Arc;

use crate::batch::{Batch, Facts};
use crate::receipt::Receipt;
use crate::row::{self, Message, Row};

/// Messages to publish, in order. Topics are the broker's own names; an empty id is the broker's to give.
///
/// A clone shares the messages until one of the two changes, so a broker can hand them to a thread of its own for nothing.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    inner: Arc<Inner>,
}

#[derive(Debug, Clone, Default)]
struct Inner {
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
        let inner = Arc::make_mut(&mut self.inner);
        inner.messages.push(message, Receipt { position: origin, token: &[] }, Facts::default());
        inner.delays.push(delay);
    }

    /// Appends all of `other`.
    pub fn append(&mut self, other: &Outbox) {
        let inner = Arc::make_mut(&mut self.inner);
        for i in 0..other.len() {
            inner.messages.push_from(&other.inner.messages, i);
        }
        inner.delays.extend_from_slice(&other.inner.delays);
    }

    /// The row at `index`; panics beyond the end.
    pub fn row(&self, index: usize) -> Row<'_> {
        self.inner.messages.row(index)
    }

    /// The message at `index`; panics beyond the end.
    pub fn get(&self, index: usize) -> Message<'_, row::Headers<'_>> {
        self.inner.messages.get(index)
    }

    /// Milliseconds to wait before delivery; 0 = none.
    pub fn delay(&self, index: usize) -> u64 {
        self.inner.delays[index]
    }

    /// Position of the delivery that the message comes from; 0 = none.
    pub fn origin(&self, index: usize) -> u64 {
        self.inner.messages.receipt(index).position
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.inner.delays.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.inner.delays.is_empty()
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> usize {
        self.inner.messages.bytes()
    }

    /// Forgets the messages, and keeps the memory unless a clone has it.
    pub fn clear(&mut self) {
        match Arc::get_mut(&mut self.inner) {
            Some(inner) => {
                inner.messages.clear();
                inner.delays.clear();
            }
            None => self.inner = Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(outbox: &mut Outbox, topic: &str) {
        let headers = std::iter::empty();
        outbox.push(&Message { id: "", topic, key: None, payload: Some(b"x"), headers, timestamp: 1, attempt: 1 }, 0, 0);
    }

    fn topics(outbox: &Outbox) -> Vec<&str> {
        (0..outbox.len()).map(|i| outbox.row(i).topic()).collect()
    }

    #[test]
    fn a_clone_keeps_what_it_had() {
        let mut outbox = Outbox::default();
        push(&mut outbox, "a");
        let (before, more) = (outbox.clone(), outbox.clone());
        push(&mut outbox, "b");
        outbox.append(&more);
        assert_eq!((topics(&before), topics(&outbox)), (vec!["a"], vec!["a", "b", "a"]));
        let kept = outbox.clone();
        outbox.clear();
        assert_eq!((outbox.len(), outbox.bytes(), kept.len()), (0, 0, 3));
    }
}
