//! The task of one lane: it alone receives, calls, decides the order of things, and settles.
//!
//! One loop waits for whatever comes first: a call's end, a settlement's end, messages, time. What each of them means stands in
//! [`calls`] and [`settling`]; what becomes of a message in `verdict`. There is no lock here but the breaker's, which lanes share.

mod calls;
mod settling;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use futures::future::OptionFuture;
use futures::stream::FuturesUnordered;
use hashbrown::HashMap;
use longshore_core::{Acks, Batch, BoxFuture, BrokerError, Clock, Delivery, Fix, Handler, Lane, Receipts, Room, Source};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Reconnect;
use crate::breaker::Circuit;
use crate::ledger::Ledger;
use crate::metrics::Handles;
use crate::order::Queue;
use crate::policy::Policy;
use crate::random::Random;
use crate::round::Record;
use crate::sizing::Sizing;
use crate::status::Status;

use calls::{Finished, Running};
use settling::Settlement;

/// Waits of a lane when publishing or settling fails: short at first, since most such trouble passes at once.
const TROUBLE: Reconnect = Reconnect { initial: Duration::from_millis(100), max: Duration::from_secs(30) };
/// How long a lane that is told to stop at once waits for a settlement that is under way.
const LAST_SETTLEMENT: Duration = Duration::from_secs(2);
/// Empty buffers that a lane keeps for later batches.
const SPARE_BATCHES: usize = 4;

/// What all lanes of a subscription share.
pub(crate) struct Shared<H> {
    pub(crate) policy: Policy,
    pub(crate) handler: Arc<H>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Handles,
    pub(crate) status: Arc<Status>,
    pub(crate) paused: watch::Receiver<bool>,
    /// A permit a call.
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) circuit: Mutex<Circuit>,
    pub(crate) lanes: AtomicUsize,
    /// Stop reading, finish what runs, settle.
    pub(crate) drain: CancellationToken,
    /// Let go of what runs.
    pub(crate) abort: CancellationToken,
}

impl<H> Shared<H> {
    pub(crate) fn circuit(&self) -> std::sync::MutexGuard<'_, Circuit> {
        self.circuit.lock().expect("nothing panics while it holds the breaker")
    }

    /// A lane's part of a bound over all lanes.
    fn share(&self, bound: usize) -> usize {
        (bound / self.lanes.load(Ordering::Relaxed).max(1)).max(1)
    }
}

/// How far a lane is on its way to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// No fetch and no new call.
    Draining,
    /// What runs is let go; one last settlement.
    Closing,
}

/// One lane and its state. Everything here belongs to the lane's task alone.
pub(crate) struct LaneTask<H: Handler> {
    shared: Arc<Shared<H>>,
    id: String,
    partition: Option<u32>,
    phase: Phase,
    source: Box<dyn Source>,
    /// Away while a settlement is under way.
    acks: Option<Box<dyn Acks>>,
    revoked: BoxFuture<'static, ()>,
    queue: Queue,
    ledger: Ledger,
    sizing: Sizing,
    random: Random,
    calls: FuturesUnordered<BoxFuture<'static, Finished>>,
    running: HashMap<u64, Running, foldhash::fast::FixedState>,
    next_call: u64,
    /// Ended messages that the next round settles.
    pending: Vec<Record>,
    settlement: Settlement,
    /// Messages received and not settled, and their bytes.
    held: usize,
    held_bytes: usize,
    incoming: Batch,
    spare: Vec<Batch>,
    /// Trouble of the host in a row.
    troubles: u32,
    /// No fetch and no call before then.
    resting_until: Option<Instant>,
    /// Since when messages wait that a fixed batch holds back.
    holding_back: Option<Instant>,
    next_extension: Option<Instant>,
    /// Whether a message of this lane was given up because hosts died over it: one at most, see [`LaneTask::suspects`](Self::suspects).
    judged: bool,
}

impl<H: Handler> LaneTask<H> {
    pub(crate) fn new(shared: Arc<Shared<H>>, lane: Lane) -> Self {
        let policy = &shared.policy;
        LaneTask {
            id: lane.id,
            partition: lane.partition,
            phase: Phase::Running,
            source: lane.source,
            acks: Some(lane.acks),
            revoked: lane.revoked,
            queue: Queue::new(policy.order(), &lane.waiting),
            ledger: Ledger::new(lane.finished),
            sizing: Sizing::new(policy.batching),
            random: Random::new(policy.seed),
            calls: FuturesUnordered::new(),
            running: HashMap::with_hasher(foldhash::fast::FixedState::with_seed(0)),
            next_call: 0,
            pending: Vec::new(),
            settlement: Settlement::Idle,
            held: 0,
            held_bytes: 0,
            incoming: Batch::default(),
            spare: Vec::new(),
            troubles: 0,
            resting_until: None,
            holding_back: None,
            next_extension: policy.lease.map(|lease| Instant::now() + lease / 3),
            judged: false,
            shared,
        }
    }

    /// Runs until the lane is revoked, the broker loses it, or the host stops. An error means that the subscription is to be made anew.
    pub(crate) async fn run(mut self) -> Result<(), BrokerError> {
        let result = self.turn().await;
        let open = self.open_receipts();
        match (self.acks.take(), &result) {
            (Some(acks), Ok(())) => acks.close(open).await,
            _ => result,
        }
    }

    async fn turn(&mut self) -> Result<(), BrokerError> {
        let mut paused = self.shared.paused.clone();
        let (drain, abort) = (self.shared.drain.clone(), self.shared.abort.clone());
        loop {
            let mut permit = None;
            let wants_permit = self.start_calls();
            self.start_settling();
            if self.is_over() {
                return Ok(());
            }
            self.park_if_stuck();
            let room = self.room();
            let wake = self.wake();
            let semaphore = &self.shared.calls;
            tokio::select! {
                biased;
                () = abort.cancelled(), if self.phase != Phase::Closing => self.let_go(),
                () = drain.cancelled(), if self.phase == Phase::Running => self.phase = Phase::Draining,
                () = &mut self.revoked, if self.phase != Phase::Closing => self.let_go(),
                Some(finished) = self.calls.next() => self.finished(finished),
                outcome = self.settlement.outcome() => self.settled(outcome)?,
                Ok(got) = semaphore.clone().acquire_owned(), if wants_permit => permit = Some(got),
                fetched = OptionFuture::from(room.map(|room| self.source.fetch(room, &mut self.incoming))), if room.is_some() => {
                    self.fetched(fetched)?;
                }
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
                _ = paused.changed() => {}
            }
            if let Some(permit) = permit {
                self.start_call(permit);
            }
        }
    }

    /// What a fetch brought.
    fn fetched(&mut self, fetched: Option<Result<(), BrokerError>>) -> Result<(), BrokerError> {
        match fetched {
            Some(Err(error)) if error.fix == Fix::Retry => self.trouble("fetch", &error.what),
            Some(Err(error)) => return Err(error),
            _ => self.receive(),
        }
        Ok(())
    }

    /// Enters what was fetched into ledger and queue.
    fn receive(&mut self) {
        if self.incoming.is_empty() {
            return;
        }
        let empty = self.spare.pop().unwrap_or_default();
        let batch = Arc::new(std::mem::replace(&mut self.incoming, empty));
        self.held += batch.len();
        self.held_bytes += batch.bytes();
        self.shared.status.received(batch.len());
        self.shared.metrics.in_flight.inc_by(batch.len() as i64);
        let mut first = None;
        for position in batch.receipts().positions() {
            let seq = self.ledger.receive(*position);
            first.get_or_insert(seq);
        }
        let first = first.expect("it is not empty");
        if self.shared.policy.delivery == Delivery::AtMostOnce {
            self.acknowledge_first(batch, first);
        } else {
            self.enqueue(batch, first);
        }
    }

    /// Lets messages wait for their call, suspects one by one.
    fn enqueue(&mut self, batch: Arc<Batch>, first: u64) {
        let most = self.shared.policy.max_deliveries;
        let suspect = |i: usize| batch.facts(i).unanswered >= most;
        let mut from = 0;
        for i in (0..batch.len()).filter(|i| suspect(*i)) {
            self.queue.push(&batch, from, i, first + from as u64, false);
            self.enqueue_suspect(&batch, i, first + i as u64);
            from = i + 1;
        }
        if from < batch.len() {
            self.queue.push(&batch, from, batch.len(), first + from as u64, false);
        }
        for seq in self.queue.take_replaced() {
            self.ledger.finish(seq);
            self.shared.metrics.stale.inc();
            self.release(1, 0);
        }
    }

    /// How much may be fetched now; `None` = nothing.
    fn room(&self) -> Option<Room> {
        let policy = &self.shared.policy;
        if self.phase != Phase::Running || self.resting() || *self.shared.paused.borrow() || !self.breaker_lets_fetch() {
            return None;
        }
        let (messages, bytes) = (self.shared.share(policy.subscribe.max_in_flight), self.shared.share(policy.max_bytes_in_flight));
        let free = messages.saturating_sub(self.held);
        // A fetch costs its broker something: it waits until it is worth it, unless nothing else is to do.
        let worth = free >= messages.div_ceil(2) || self.queue.ready() == 0;
        let fits = self.held == 0 || self.held_bytes < bytes;
        (free > 0 && worth && fits).then(|| Room {
            messages: free.min(policy.subscribe.fetch.max_messages.max(1)),
            bytes: bytes.saturating_sub(self.held_bytes).max(1),
        })
    }

    /// When the lane has to look again though nothing happened.
    fn wake(&self) -> Option<Instant> {
        let resting = self.resting_until.filter(|_| self.resting());
        let held_back = self.holding_back.filter(|_| !self.resting());
        [resting, held_back, self.settlement.retry_at(), self.next_extension, self.breaker_opens_at()].into_iter().flatten().min()
    }

    fn resting(&self) -> bool {
        self.resting_until.is_some_and(|until| Instant::now() < until)
    }

    /// The host is in trouble: nobody is charged, the lane rests.
    fn trouble(&mut self, doing: &str, what: &str) {
        self.troubles += 1;
        let wait = TROUBLE.delay(self.troubles);
        self.resting_until = Some(Instant::now() + wait);
        self.shared.status.set_trouble(Some(self.shared.clock.now()));
        self.shared.metrics.error("host");
        tracing::warn!(subscription = %self.shared.policy.info.name, lane = %self.id, doing, ?wait, "{what}; no attempt is used, trying again");
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.troubles) > 0 {
            self.resting_until = None;
            self.shared.status.set_trouble(None);
            tracing::info!(subscription = %self.shared.policy.info.name, lane = %self.id, "trouble is over");
        }
    }

    /// Drops the calls that run: their messages stay open and come again, to whoever has the lane then.
    fn let_go(&mut self) {
        self.phase = Phase::Closing;
        self.calls.clear();
        self.settlement.give_up_at(Instant::now() + LAST_SETTLEMENT);
    }

    fn is_over(&self) -> bool {
        let settled = self.pending.is_empty() && matches!(self.settlement, Settlement::Idle);
        match self.phase {
            Phase::Running => false,
            Phase::Draining => self.calls.is_empty() && settled,
            Phase::Closing => settled || self.settlement.is_given_up(),
        }
    }

    /// What was received and not finished, when the lane ends.
    fn open_receipts(&mut self) -> Receipts {
        let mut open = Receipts::default();
        let running = self.running.drain().map(|(_, r)| r.picked);
        for picked in self.queue.drain().into_iter().chain(running) {
            (picked.from..picked.to).for_each(|at| open.push(picked.batch.receipt(at)));
        }
        open
    }

    /// The same while it runs.
    fn held_receipts(&self) -> Receipts {
        let mut held = Receipts::default();
        self.queue.each(|batch, at| held.push(batch.receipt(at)));
        for running in self.running.values() {
            (running.picked.from..running.picked.to).for_each(|at| held.push(running.picked.batch.receipt(at)));
        }
        held
    }

    /// Gives back room.
    fn release(&mut self, messages: usize, bytes: usize) {
        self.held -= messages;
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
        self.shared.status.released(messages);
        self.shared.metrics.in_flight.dec_by(messages as i64);
    }
}

impl<H: Handler> Drop for LaneTask<H> {
    fn drop(&mut self) {
        self.shared.status.released(self.held);
        self.shared.metrics.in_flight.dec_by(self.held as i64);
    }
}

/// A permit to call, and what takes it.
type Permit = OwnedSemaphorePermit;
