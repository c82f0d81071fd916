//! The task of one lane: it alone receives, calls, decides the order of things, and settles.
//!
//! One loop waits for whatever comes first: a call's end, a settlement's end, messages, time. What each of them means stands in
//! [`calls`] and [`settling`]; what becomes of a message in `verdict`. There is no lock here but the breaker's, which lanes share.

mod age;
mod calls;
mod claims;
mod parking;
mod recall;
mod settling;
mod trouble;

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use futures::future::OptionFuture;
use futures::stream::FuturesUnordered;
use hashbrown::HashMap;
use longshore_core::{Acks, Batch, BoxFuture, BrokerError, Clock, Delivery, Fix, Handler, Lane, Receipts, Room, Source};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::breaker::Circuit;
use crate::ledger::Ledger;
use crate::metrics::Handles;
use crate::order::Queue;
use crate::policy::Policy;
use crate::random::Random;
use crate::round::Record;
use crate::signal::Signal;
use crate::sizing::Sizing;
use crate::status::{Gate, LaneStatus, Status};

use age::Arrivals;
use calls::{Finished, Running};
pub(crate) use claims::Claims;
use settling::Settlement;
use trouble::{Doing, Trouble};

/// How long a lane that ends waits for its last settlement, and then for the broker to take back the rest.
const LAST_SETTLEMENT: Duration = Duration::from_secs(2);
/// What stands for ever: thirty years.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
/// Empty buffers that a lane keeps for later batches.
const SPARE_BATCHES: usize = 4;

/// What all lanes of a subscription share.
pub(crate) struct Shared<H> {
    pub(crate) policy: Policy,
    pub(crate) handler: Arc<H>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Handles,
    pub(crate) status: Arc<Status>,
    pub(crate) gate: Arc<Gate>,
    /// A permit a call.
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) circuit: Mutex<Circuit>,
    pub(crate) lanes: AtomicUsize,
    /// Lanes that there ever were.
    pub(crate) lanes_ever: AtomicU32,
    /// Bytes received and not settled.
    pub(crate) held_bytes: AtomicUsize,
    /// Something moved that lanes share: the breaker, how many lanes there are, room where there was none.
    pub(crate) moved: Signal,
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
    /// What the dedup inbox was asked for, where there is one.
    claims: Option<Claims>,
    /// Messages received and not settled, and their bytes.
    held: usize,
    held_bytes: usize,
    incoming: Batch,
    spare: Vec<Batch>,
    trouble: Option<Trouble>,
    told: LaneStatus,
    arrivals: Arrivals,
    /// No fetch and no call before then.
    resting_until: Option<Instant>,
    /// Nothing can move before then: see [`parking`].
    stuck_until: Option<Instant>,
    /// Since when messages wait that a fixed batch holds back.
    holding_back: Option<Instant>,
    /// For how long the broker lends a message.
    lease: Option<Duration>,
    next_extension: Option<Instant>,
    /// Whether a message of this lane was given up because hosts died over it: one at most, see [`LaneTask::suspects`](Self::suspects).
    judged: bool,
    /// Whether a message was sent away while later ones of its key may run: those come again too.
    recalled: bool,
}

impl<H: Handler> LaneTask<H> {
    pub(crate) fn new(shared: Arc<Shared<H>>, lane: Lane) -> Self {
        let policy = &shared.policy;
        LaneTask {
            partition: lane.partition,
            phase: Phase::Running,
            source: lane.source,
            acks: Some(lane.acks),
            revoked: lane.revoked,
            queue: Queue::new(policy.order(), &lane.waiting),
            ledger: Ledger::new(lane.finished),
            sizing: Sizing::new(policy.batching),
            random: Random::of_lane(policy.seed, &lane.id),
            told: LaneStatus::new(Arc::clone(&shared.status)),
            arrivals: Arrivals::default(),
            calls: FuturesUnordered::new(),
            running: HashMap::with_hasher(foldhash::fast::FixedState::with_seed(0)),
            next_call: 0,
            pending: Vec::new(),
            settlement: Settlement::default(),
            claims: policy
                .dedup
                .as_ref()
                .and_then(|dedup| Claims::new(dedup, lane.inbox, shared.lanes_ever.fetch_add(1, Ordering::Relaxed))),
            held: 0,
            held_bytes: 0,
            incoming: Batch::default(),
            spare: Vec::new(),
            trouble: None,
            resting_until: None,
            stuck_until: None,
            holding_back: None,
            next_extension: lane.lease.map(|lease| after(lease / 3)),
            lease: lane.lease,
            id: lane.id,
            judged: false,
            recalled: false,
            shared,
        }
    }

    /// Runs until the lane is revoked, the broker loses it, or the host stops. An error means that the subscription is to be made anew.
    pub(crate) async fn run(mut self) -> Result<(), BrokerError> {
        let ended = self.turn().await;
        self.release_claims().await;
        ended?;
        let open = self.unsettled();
        if let Some(acks) = self.acks.take() {
            match tokio::time::timeout(LAST_SETTLEMENT, acks.close(open)).await {
                Ok(Ok(())) => {}
                // The lane is not ours any more: the broker finds out by itself, as it does when a host dies.
                Ok(Err(error)) => tracing::warn!(lane = %self.id, "a lane was not given back: {error}"),
                Err(_) => tracing::warn!(lane = %self.id, "a lane was not given back in time"),
            }
        }
        Ok(())
    }

    async fn turn(&mut self) -> Result<(), BrokerError> {
        let shared = self.shared.clone();
        let (mut paused, mut moved) = (shared.gate.changes.seen(), shared.moved.seen());
        let (drain, abort) = (self.shared.drain.clone(), self.shared.abort.clone());
        loop {
            let mut permit = None;
            let now = Instant::now();
            self.keep_claims();
            let wants_permit = self.start_calls();
            self.start_settling();
            if self.is_over() {
                return Ok(());
            }
            self.park_if_stuck();
            self.tell_oldest_open();
            self.shared.metrics.dropped.inc_by(self.source.take_dropped());
            self.shared.metrics.lost.inc_by(self.source.take_lost());
            let room = self.room();
            let wake = self.wake(now);
            let semaphore = &self.shared.calls;
            tokio::select! {
                biased;
                () = abort.cancelled(), if self.phase != Phase::Closing => self.let_go(),
                () = drain.cancelled(), if self.phase == Phase::Running => self.phase = Phase::Draining,
                () = &mut self.revoked, if self.phase != Phase::Closing => self.let_go(),
                Some(finished) = self.calls.next() => self.finished(finished),
                outcome = self.settlement.outcome() => self.settled(outcome)?,
                answer = Claims::kept(&mut self.claims) => self.claims_kept(answer),
                Ok(got) = semaphore.clone().acquire_owned(), if wants_permit => permit = Some(got),
                // Before a fetch: the room that it was given may not be there any more.
                () = shared.gate.changes.changed(&mut paused) => {}
                () = shared.moved.changed(&mut moved) => {}
                fetched = OptionFuture::from(room.map(|room| self.source.fetch(room, &mut self.incoming))), if room.is_some() => {
                    self.fetched(fetched)?;
                }
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
            if let Some(permit) = permit {
                self.start_call(permit);
            }
        }
    }

    /// What a fetch brought.
    fn fetched(&mut self, fetched: Option<Result<(), BrokerError>>) -> Result<(), BrokerError> {
        match fetched {
            Some(Err(error)) if error.fix == Fix::Retry => {
                self.trouble(Doing::Fetch, &error.what);
            }
            Some(Err(error)) => return Err(error),
            _ => {
                self.recovered(Doing::Fetch);
                self.receive();
            }
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
        self.shared.held_bytes.fetch_add(batch.bytes(), Ordering::Relaxed);
        self.shared.status.received(batch.len());
        self.shared.metrics.in_flight.inc_by(batch.len() as i64);
        let mut first = None;
        for position in batch.receipts().positions() {
            let seq = self.ledger.receive(*position);
            first.get_or_insert(seq);
        }
        let first = first.expect("it is not empty");
        self.arrivals.came(first, self.shared.clock.now());
        if self.shared.policy.delivery == Delivery::AtMostOnce {
            self.acknowledge_first(batch, first);
        } else {
            self.enqueue(&batch, 0..batch.len(), first);
        }
    }

    /// Lets messages of a batch, which begins with that sequence number, wait for their call, suspects and what is no message one by one.
    fn enqueue(&mut self, batch: &Arc<Batch>, messages: Range<usize>, first: u64) {
        let (most, again) = (self.shared.policy.max_deliveries, self.shared.policy.delivery == Delivery::AtLeastOnce);
        let suspect = |i: usize| batch.facts(i).undecodable || (again && batch.facts(i).unanswered >= most);
        let (mut from, to) = (messages.start, messages.end);
        for i in messages.filter(|i| suspect(*i)) {
            self.queue.push(batch, from, i, first + from as u64, false);
            self.enqueue_suspect(batch, i, first + i as u64);
            from = i + 1;
        }
        self.queue.push(batch, from, to, first + from as u64, false);
        self.forget_replaced();
    }

    fn forget_replaced(&mut self) {
        for (seq, bytes) in self.queue.take_replaced() {
            self.ledger.finish(seq);
            self.shared.metrics.stale.inc();
            self.release(1, bytes);
        }
    }

    /// How much may be fetched now; `None` = nothing.
    fn room(&self) -> Option<Room> {
        let policy = &self.shared.policy;
        if self.phase != Phase::Running || self.resting() || self.shared.gate.is_paused() || !self.breaker_lets_fetch() {
            return None;
        }
        let (messages, bytes) = (self.shared.share(policy.subscribe.max_in_flight), self.shared.share(policy.max_bytes_in_flight));
        // A lane that came later waits until the others are down to their share; one message each lane may always have.
        let left = policy.subscribe.max_in_flight.saturating_sub(self.shared.status.in_flight());
        let free = messages.saturating_sub(self.held).min(left.max(usize::from(self.held == 0)));
        let left_bytes = policy.max_bytes_in_flight.saturating_sub(self.shared.held_bytes.load(Ordering::Relaxed));
        let bytes = bytes.saturating_sub(self.held_bytes).min(left_bytes);
        // A fetch costs its broker something: it waits until it is worth it, unless nothing else is to do.
        let worth = free >= messages.div_ceil(2) || self.queue.ready() == 0;
        let fits = bytes > 0 || self.held == 0;
        (free > 0 && worth && fits).then(|| Room { messages: free.min(policy.subscribe.fetch.max_messages.max(1)), bytes: bytes.max(1) })
    }

    /// Whether the lane holds as much as it may.
    fn is_full(&self) -> bool {
        let policy = &self.shared.policy;
        let bytes = self.shared.share(policy.max_bytes_in_flight);
        self.held >= self.shared.share(policy.subscribe.max_in_flight) || (self.held > 0 && self.held_bytes >= bytes)
    }

    /// When the lane has to look again though nothing happened. What was due at `now`, when it looked last, waits for something else.
    fn wake(&self, now: Instant) -> Option<Instant> {
        let rests = [self.resting_until, self.stuck_until, self.holding_back];
        let claims = self.claims.as_ref().and_then(Claims::wakes_at);
        let times = [self.settlement.wakes_at(), self.next_extension, self.breaker_opens_at(), claims];
        rests.into_iter().chain(times).flatten().filter(|at| *at > now).min()
    }

    fn resting(&self) -> bool {
        self.resting_until.is_some_and(|until| Instant::now() < until)
    }

    /// Drops the calls that run: their messages stay open and come again, to whoever has the lane then.
    fn let_go(&mut self) {
        self.phase = Phase::Closing;
        self.forget_probe();
        self.calls.clear();
        self.settlement.give_up_at(after(LAST_SETTLEMENT));
    }

    fn is_over(&self) -> bool {
        let settled = self.pending.is_empty() && self.settlement.is_idle();
        // What was settled before its call is called to the end.
        let called = self.calls.is_empty() && (self.shared.policy.delivery == Delivery::AtLeastOnce || self.queue.ready() == 0);
        match self.phase {
            Phase::Running => false,
            Phase::Draining => called && settled,
            Phase::Closing => settled || self.settlement.is_given_up(),
        }
    }

    /// What was received and is not settled: what waits, what runs, and what ended and is still to be told.
    fn unsettled(&self) -> Receipts {
        let mut open = Receipts::default();
        if self.shared.policy.delivery == Delivery::AtLeastOnce {
            self.queue.each(|batch, at| open.push(batch.receipt(at)));
            for running in self.running.values() {
                (running.picked.from..running.picked.to).for_each(|at| open.push(running.picked.batch.receipt(at)));
            }
            self.claims.iter().for_each(|claims| claims.unsettled(&mut open));
        }
        for record in self.pending.iter().chain(self.settlement.waiting()) {
            record.ended().for_each(|at| open.push(record.picked.batch.receipt(at)));
        }
        open
    }

    /// Gives back room.
    fn release(&mut self, messages: usize, bytes: usize) {
        let was_full = self.is_full();
        self.held -= messages;
        self.held_bytes -= bytes;
        self.shared.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.shared.status.released(messages);
        self.shared.metrics.in_flight.dec_by(messages as i64);
        if was_full && self.shared.lanes.load(Ordering::Relaxed) > 1 {
            self.shared.moved.send();
        }
    }
}

impl<H: Handler> Drop for LaneTask<H> {
    fn drop(&mut self) {
        self.forget_probe();
        self.shared.status.released(self.held);
        self.shared.held_bytes.fetch_sub(self.held_bytes, Ordering::Relaxed);
        self.shared.metrics.in_flight.dec_by(self.held as i64);
    }
}

/// The instant after that wait. One that no clock can hold is far enough away.
fn after(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or_else(|| now + FAR)
}

/// A permit to call, and what takes it.
type Permit = OwnedSemaphorePermit;
