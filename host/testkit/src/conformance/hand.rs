//! A lane in the hand of a test: fetches with a deadline, and a ledger just good enough to settle with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use longshore_core::{Again, Batch, Lane, Lanes, Outbox, Ranges, Receipts, Room, SettleError, Settled};

use super::bench::SOON;

/// Room for whatever a test wants.
const MUCH: Room = Room { messages: 10_000, bytes: 64 << 20 };

/// A lane and what is open on it.
pub struct Hand {
    /// The lane.
    pub lane: Lane,
    /// Everything that was fetched.
    pub got: Batch,
    /// The next round.
    pub round: Settled,
    _lanes: Option<Lanes>,
    open: BTreeSet<u64>,
    /// Where in `got` the last delivery stands of each position that is not ended, redeliveries included.
    held: BTreeMap<u64, usize>,
    ended: Ranges,
    top: u64,
}

impl Hand {
    /// Takes a lane, and the stream that it came from so that its subscription stays.
    pub fn new(lane: Lane, lanes: Option<Lanes>) -> Self {
        let ended = lane.finished.clone();
        let round = Settled { above: ended.clone(), ..Settled::default() };
        Hand { lane, got: Batch::default(), round, _lanes: lanes, open: BTreeSet::new(), held: BTreeMap::new(), ended, top: 0 }
    }

    /// Fetches until `count` messages more are there; answers the index of the first of them.
    pub async fn fetch(&mut self, count: usize) -> usize {
        let first = self.got.len();
        while self.got.len() < first + count {
            let room = Room { messages: first + count - self.got.len(), ..MUCH };
            self.fetch_some(room).await;
        }
        first
    }

    /// One fetch; answers the index of the first message that it brought.
    pub async fn fetch_some(&mut self, room: Room) -> usize {
        let mut batch = Batch::default();
        let fetched = tokio::time::timeout(SOON, self.lane.source.fetch(room, &mut batch)).await;
        fetched.unwrap_or_else(|_| panic!("nothing came within {SOON:?}; have {:?}", self.payloads())).expect("a fetch works");
        self.take(&batch)
    }

    /// Takes what some fetch brought.
    pub fn take(&mut self, batch: &Batch) -> usize {
        let first = self.got.len();
        for i in 0..batch.len() {
            let receipt = batch.receipt(i);
            // Anything else is a redelivery, which the broker holds by itself and which may come before fresh messages below it.
            if receipt.position > self.top && !self.lane.finished.contains(receipt.position) {
                self.top = receipt.position;
                self.open.insert(receipt.position);
            }
            self.held.insert(receipt.position, self.got.len());
            self.got.push_from(batch, i);
        }
        first
    }

    /// All payloads so far.
    pub fn payloads(&self) -> Vec<String> {
        self.payloads_from(0)
    }

    /// The payloads from an index on.
    pub fn payloads_from(&self, first: usize) -> Vec<String> {
        let text = |i| String::from_utf8_lossy(self.got.get(i).payload.unwrap_or_default()).into_owned();
        (first..self.got.len()).map(text).collect()
    }

    /// The message at `index` is done.
    pub fn done(&mut self, index: usize) -> &mut Self {
        self.end(index);
        self.round.finished.push(self.got.receipt(index));
        self
    }

    /// All messages from `first` on are done.
    pub fn all_done(&mut self, first: usize) -> &mut Self {
        (first..self.got.len()).for_each(|i| {
            self.done(i);
        });
        self
    }

    /// The message at `index` is to come again.
    pub fn again(&mut self, index: usize, delay: Duration, attempt: u32, first_failed_at: u64) -> &mut Self {
        self.end(index);
        self.round.again.push(self.got.receipt(index));
        self.round.again_how.push(Again { delay, attempt, first_failed_at });
        self
    }

    /// Outputs that go with the round.
    pub fn outputs(&mut self, outbox: Outbox) -> &mut Self {
        self.round.outputs = outbox;
        self
    }

    /// Settles the round, which then begins anew.
    pub async fn settle(&mut self) {
        self.try_settle().await.expect("a good round settles");
    }

    /// Settles the round. After an error it is as before.
    pub async fn try_settle(&mut self) -> Result<(), SettleError> {
        let settled = tokio::time::timeout(SOON, self.lane.acks.settle(&self.round)).await;
        settled.expect("settling ends soon")?;
        self.round = Settled { up_to: self.round.up_to, above: self.round.above.clone(), ..Settled::default() };
        Ok(())
    }

    /// Gives everything back, as a host does that stops.
    pub async fn close(self) {
        let mut open = Receipts::default();
        self.held.values().for_each(|i| open.push(self.got.receipt(*i)));
        self.lane.acks.close(open).await.expect("a lane closes");
    }

    fn end(&mut self, index: usize) {
        let position = self.got.receipt(index).position;
        self.held.remove(&position);
        if self.open.remove(&position) {
            self.ended.insert(position);
        }
        let mark = self.open.first().map_or(self.top, |first| first - 1);
        self.round.up_to = (mark > 0).then_some(mark);
        self.round.above = self.ended.clone();
        self.round.above.remove_up_to(mark);
    }
}
