//! A lane: one unit of order and acknowledgement, with reading and acking as separate objects.
//!
//! A lane is a value. A rebalance is "a task starts, a task ends", and a late ack has nowhere to go.

use std::sync::Arc;
use std::time::Duration;

use crate::BoxFuture;
use crate::batch::Batch;
use crate::error::{BrokerError, SettleError};
use crate::inbox::Inbox;
use crate::ranges::Ranges;
use crate::receipt::Receipts;
use crate::settled::Settled;

/// How much a fetch may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Messages, at least 1.
    pub messages: usize,
    /// Bytes; one message larger than this is brought all the same, alone.
    pub bytes: usize,
}

/// The reading half.
pub trait Source: Send {
    /// Waits for messages and appends some to `into`, at most what there is room for, without waiting for a full batch. Ends with none where
    /// there is something to tell by [`take_lost`](Source::take_lost).
    ///
    /// Cancel-safe: when the future is dropped, what was taken from the broker and not appended comes with the next call. Not calling it is
    /// back-pressure. An error ends the lane unless its fix is `Retry`.
    fn fetch<'a>(&'a mut self, room: Room, into: &'a mut Batch) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// How many messages were gone from the broker before they were finished, as far as it tells, since this was last asked. Told once for all
    /// hosts of a group.
    fn take_lost(&mut self) -> u64 {
        0
    }

    /// How many messages were dropped since this was last asked, because a broker that does not wait brought more than there was room for.
    fn take_dropped(&mut self) -> u64 {
        0
    }
}

/// The acknowledging half. Owned by the lane's task alone.
pub trait Acks: Send {
    /// Makes the round durable, all or nothing where the broker has transactions. After an error the engine calls again with the same or a
    /// changed round; what was settled already must then do no harm.
    fn settle<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<(), SettleError>>;

    /// Settles a round of at-most-once, where what is finished is called only then. Answers which of `finished`, by index and ascending, this
    /// call did not finish itself: somebody else has it or had it, and it must not be called here. An answer that was lost may make that of
    /// all of them.
    ///
    /// As it stands, for brokers that take nothing away from a living lane, or whose `settle` is there for good when it answers and fails for
    /// a lane that was taken away.
    fn take<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<Vec<usize>, SettleError>> {
        let settled = self.settle(round);
        Box::pin(async move { settled.await.map(|()| Vec::new()) })
    }

    /// Extends the lease of everything that is held, started or only buffered. Nothing where the broker has no leases.
    fn extend<'a>(&'a mut self, held: &'a Receipts) -> BoxFuture<'a, Result<(), BrokerError>> {
        let _ = held;
        Box::pin(std::future::ready(Ok(())))
    }

    /// Gives back what was received and not finished, and ends. Nobody's attempt is used. Nothing to do where the broker sees by itself.
    fn close(self: Box<Self>, open: Receipts) -> BoxFuture<'static, Result<(), BrokerError>> {
        let _ = open;
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A message that the broker keeps for a retry, told when a lane begins so that its key is held over a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its position.
    pub position: u64,
    /// Its key.
    pub key: Option<Vec<u8>>,
}

/// One lane, from assignment to revocation.
pub struct Lane {
    /// Unique in the subscription: topic, or topic and partition.
    pub id: String,
    /// The partition, where there is one.
    pub partition: Option<u32>,
    /// Messages.
    pub source: Box<dyn Source>,
    /// Settlements.
    pub acks: Box<dyn Acks>,
    /// Ends when the broker takes the lane away. A lane that is not revoked never ends by it.
    pub revoked: BoxFuture<'static, ()>,
    /// Positions above the broker's mark that earlier owners finished; the source brings none of them.
    pub finished: Ranges,
    /// Retries that wait in the broker; needed only for `order = "key"` and `"lane"`.
    pub waiting: Vec<Waiting>,
    /// The dedup inbox of a broker that keeps one itself, where the subscription asks for it: claims end with [`Settled::inbox`].
    pub inbox: Option<Arc<dyn Inbox>>,
    /// For how long the broker lends a message before it is another's; `None` where it does not take back what a living lane has. A third
    /// of it is the interval at which [`Acks::extend`] is called.
    pub lease: Option<Duration>,
}
