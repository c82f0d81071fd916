//! Retries in place: with `retry-mode = "block"` a message that failed stays where it is, and holds its partition until it is due. How often it was
//! tried and when it is due stands in the note beside the offset, so both outlive the host; its bytes are read again from where they are.

use std::collections::BTreeMap;

use longshore_core::{Batch, Facts, Message, Receipt};

use super::book::Which;
use super::place::{Delivered, token};

/// What is known of a message that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tried {
    /// What its next try counts as.
    pub(super) attempt: u32,
    /// Milliseconds since the Unix epoch; 0 = at once.
    pub(super) not_before: u64,
    /// Milliseconds since the Unix epoch; 0 = it never failed.
    pub(super) first_failed_at: u64,
}

/// When a message comes again of which it is not committed yet how often it was tried.
pub(super) const NOT_YET: u64 = u64::MAX;

/// The messages of a lane that hold it.
#[derive(Default)]
pub(super) struct Blocked {
    waiting: BTreeMap<Delivered, (Batch, u64)>,
}

impl Blocked {
    /// Whether there is any.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A message waits, with its row as it is to be handed over; until [`NOT_YET`], for [`release`](Self::release).
    pub(super) fn put(&mut self, of: Delivered, row: Batch, not_before: u64) {
        self.waiting.insert(of, (row, not_before));
    }

    /// One that waits for it comes when it is due, from now on.
    pub(super) fn release(&mut self, of: Delivered, not_before: u64) {
        if let Some((_, due)) = self.waiting.get_mut(&of).filter(|(_, due)| *due == NOT_YET) {
            *due = not_before;
        }
    }

    /// Takes the first that is due.
    pub(super) fn take_due(&mut self, now: u64) -> Option<(Which, i64, Batch)> {
        let of = self.waiting.iter().find(|(_, (_, due))| *due <= now).map(|(of, _)| *of)?;
        self.waiting.remove(&of).map(|(row, _)| (of.0, of.1, row))
    }

    /// When the first is due.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.waiting.values().map(|(_, due)| *due).min()
    }
}

/// The row of a message for its next try. `unanswered`: how often it was handed over since it was last answered for.
pub(super) fn next_row(batch: &Batch, index: usize, of: Delivered, tried: Tried, unanswered: u32) -> Batch {
    let (message, facts, token) = (batch.get(index), batch.facts(index), token(of));
    let mut row = Batch::default();
    let receipt = Receipt { position: batch.receipt(index).position, token: &token };
    let facts = Facts { deliveries: facts.deliveries.saturating_add(1), unanswered, first_failed_at: tried.first_failed_at, ..facts };
    row.push(&Message { attempt: tried.attempt, ..message }, receipt, facts);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_due_comes_first() {
        let mut blocked = Blocked::default();
        blocked.put((None, 7), Batch::default(), 50);
        blocked.put((None, 5), Batch::default(), NOT_YET);
        assert_eq!(blocked.next_due(), Some(50));
        blocked.release((None, 5), 90);
        blocked.release((None, 7), 10);
        assert_eq!((blocked.next_due(), blocked.take_due(49).is_none()), (Some(50), true));
        assert_eq!(blocked.take_due(99).map(|(which, offset, _)| (which, offset)), Some((None, 5)));
        assert_eq!(blocked.take_due(99).map(|(which, offset, _)| (which, offset)), Some((None, 7)));
        assert!(blocked.is_empty());
    }
}
