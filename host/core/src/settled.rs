//! What a lane tells its broker once a round: what became of messages, as data.

use std::time::Duration;

use crate::inbox::InboxEntry;
use crate::outbox::Outbox;
use crate::ranges::Ranges;
use crate::receipt::Receipts;

/// A delivery that is to come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// Index in [`Settled::again`] of its receipt is the index of this.
    pub delay: Duration,
    /// Attempt that the next delivery counts as; the same as before where none was used.
    pub attempt: u32,
    /// Milliseconds since the Unix epoch of its first failure; 0 = none yet.
    pub first_failed_at: u64,
}

/// One round of settlement. A transactional broker does what is finished, with its outputs, in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Settled {
    /// Deliveries that ended since the last round, whatever their end (done, discarded, dead-lettered).
    pub finished: Receipts,
    /// Everything received at or below it is finished or is the broker's again ([`again`](Self::again)). Never falls. `None`: nothing yet.
    pub up_to: Option<u64>,
    /// What is finished, or the broker's again, above `up_to`: all of it, not only this round's.
    pub above: Ranges,
    /// Deliveries that are to come again, counted as ended for `up_to` and `above`: the broker keeps them, durably where it can.
    pub again: Receipts,
    /// When and how each of [`again`](Self::again) comes; as many.
    pub again_how: Vec<Again>,
    /// Claims of [`Lane::inbox`](crate::Lane::inbox) that end with it, in its transaction. Empty where there is none.
    pub inbox: Vec<InboxEntry>,
    /// Outputs and dead letters to publish with it. Empty unless the broker has transactions: the engine has published them before.
    pub outputs: Outbox,
}

impl Settled {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.finished.is_empty() && self.again.is_empty()
    }
}
