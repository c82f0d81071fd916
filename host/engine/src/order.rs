//! Which of the received messages may be called next. Pure: no clock, no broker, no handler.
//!
//! Two rules, one file each: [`free`], where every message stands alone, and [`keyed`], where messages that share a key run one after
//! another. `order = "lane"` is `keyed` with one key for everything.

mod free;
mod keyed;

use std::sync::Arc;

use longshore_core::{Batch, Order, Waiting};

use free::Free;
use keyed::Keyed;

/// Messages taken for one call: `batch[from..to]`.
#[derive(Debug, Clone)]
pub(crate) struct Picked {
    pub(crate) batch: Arc<Batch>,
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Whether it is a single message that must not share a call with others.
    pub(crate) alone: bool,
    seqs: Seqs,
}

/// Sequence numbers of the messages of a call.
#[derive(Debug, Clone)]
enum Seqs {
    /// Ascending by one from here.
    Run(u64),
    /// One each.
    List(Vec<u64>),
}

impl Picked {
    /// The messages `from..to` of `batch`, the first with sequence number `seq`.
    pub(crate) fn run(batch: Arc<Batch>, from: usize, to: usize, seq: u64) -> Self {
        Picked { batch, from, to, alone: false, seqs: Seqs::Run(seq) }
    }

    /// Those of its messages, by index, as a call of their own.
    pub(crate) fn only(&self, indices: &[usize]) -> Self {
        if indices.len() == self.len() {
            return self.clone();
        }
        let mut batch = Batch::default();
        indices.iter().for_each(|i| batch.push_from(&self.batch, self.from + i));
        let seqs = Seqs::List(indices.iter().map(|i| self.seq(*i)).collect());
        Picked { batch: Arc::new(batch), from: 0, to: indices.len(), alone: self.alone, seqs }
    }

    pub(crate) fn len(&self) -> usize {
        self.to - self.from
    }

    /// Sequence number of the message at `index` of the call.
    pub(crate) fn seq(&self, index: usize) -> u64 {
        match &self.seqs {
            Seqs::Run(first) => first + index as u64,
            Seqs::List(seqs) => seqs[index],
        }
    }
}

/// What waits in a lane to be called.
#[derive(Debug)]
pub(crate) enum Queue {
    Free(Free),
    Keyed(Keyed),
}

impl Queue {
    /// The queue of a lane in which `waiting` retries are still with the broker.
    pub(crate) fn new(order: Order, waiting: &[Waiting]) -> Self {
        match order {
            Order::None => Queue::Free(Free::default()),
            Order::Key => Queue::Keyed(Keyed::new(false, waiting)),
            Order::Lane => Queue::Keyed(Keyed::new(true, waiting)),
        }
    }

    /// The messages `from..to` of `batch` were received, the first as sequence number `seq`. `alone`: each gets a call of its own.
    pub(crate) fn push(&mut self, batch: &Arc<Batch>, from: usize, to: usize, seq: u64, alone: bool) {
        match self {
            Queue::Free(free) => free.push(batch, from, to, seq, alone),
            Queue::Keyed(keyed) => (from..to).for_each(|i| keyed.push(batch, i, seq + (i - from) as u64, alone)),
        }
    }

    /// Takes up to `most` messages that may be called now.
    pub(crate) fn pick(&mut self, most: usize) -> Option<Picked> {
        match self {
            Queue::Free(free) => free.pick(most),
            Queue::Keyed(keyed) => keyed.pick(most),
        }
    }

    /// The message at `index` of the call was not settled and waits here again, in its old place.
    pub(crate) fn requeue(&mut self, picked: &Picked, index: usize, alone: bool) {
        match self {
            Queue::Free(free) => free.requeue(picked, index, alone),
            Queue::Keyed(keyed) => keyed.requeue(picked, index, alone),
        }
    }

    /// The message at `index` of the call goes back to the broker and comes again: until then it holds its key.
    pub(crate) fn away(&mut self, picked: &Picked, index: usize, due: u64) {
        if let Queue::Keyed(keyed) = self {
            keyed.away(picked, index, due);
        }
    }

    /// The message, which just came, ends without a call: if it was away, its key is free.
    pub(crate) fn given_up(&mut self, picked: &Picked, index: usize) {
        if let Queue::Keyed(keyed) = self {
            keyed.given_up(picked, index);
        }
    }

    /// The call is over, after every one of its messages was finished, requeued or sent away.
    pub(crate) fn close(&mut self, picked: &Picked) {
        if let Queue::Keyed(keyed) = self {
            keyed.close(picked);
        }
    }

    /// How many messages wait that may be called now.
    pub(crate) fn ready(&self) -> usize {
        match self {
            Queue::Free(free) => free.len(),
            Queue::Keyed(keyed) => keyed.ready(),
        }
    }

    /// Takes every message that waits behind one that is away, with the time when that comes again: room for messages of other keys.
    pub(crate) fn park(&mut self) -> Vec<(Picked, u64)> {
        match self {
            Queue::Free(_) => Vec::new(),
            Queue::Keyed(keyed) => keyed.park(),
        }
    }

    /// How many messages were taken by [`park`](Self::park) and have not come again.
    pub(crate) fn parked(&self) -> usize {
        match self {
            Queue::Free(_) => 0,
            Queue::Keyed(keyed) => keyed.parked(),
        }
    }

    /// When the first message comes again that others wait behind, as far as known; milliseconds since the Unix epoch.
    pub(crate) fn waits_until(&self) -> Option<u64> {
        match self {
            Queue::Free(_) => None,
            Queue::Keyed(keyed) => keyed.waits_until(),
        }
    }

    /// Whether an earlier message of its key is away.
    pub(crate) fn is_behind(&self, picked: &Picked, index: usize) -> bool {
        match self {
            Queue::Free(_) => false,
            Queue::Keyed(keyed) => keyed.is_behind(picked, index),
        }
    }

    /// Whether the message at `index` of `later` must not overtake that of `earlier`.
    pub(crate) fn must_follow(&self, (later, index): (&Picked, usize), (earlier, at): (&Picked, usize)) -> bool {
        match self {
            Queue::Free(_) => false,
            Queue::Keyed(keyed) => keyed.must_follow((&later.batch, later.from + index), (&earlier.batch, earlier.from + at)),
        }
    }

    /// Deliveries that ended without a call because there was another of the same position: sequence number, and bytes.
    pub(crate) fn take_replaced(&mut self) -> Vec<(u64, usize)> {
        match self {
            Queue::Free(_) => Vec::new(),
            Queue::Keyed(keyed) => keyed.take_replaced(),
        }
    }

    /// Shows every message that waits here.
    pub(crate) fn each(&self, show: impl FnMut(&Batch, usize)) {
        match self {
            Queue::Free(free) => free.each(show),
            Queue::Keyed(keyed) => keyed.each(show),
        }
    }
}
