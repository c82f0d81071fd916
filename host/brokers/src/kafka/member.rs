//! The member of a group: a thread that polls the client, takes part in rebalances and commits. Lanes come and go here, and so do their
//! commits, behind one fence, so that none is made for a lane that is another's. With `exactly-once` the [desk](super::desk) commits in their
//! place, which the brokers keep from that.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use longshore_core::{BrokerError, Fix, Pattern, Subscribe};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::broker::Broker;
use super::cell::{Cell, InUse};
use super::config::{RetryMode, Subscription};
use super::desk::Desk;
use super::keep::Keeping;
use super::names::{Tier, is_retries};
use super::rebalance::Incoming;
use super::transactions::Transactions;
use super::watch::Quiet;
use super::watchdog::{Verdict, Watchdog};
use super::{properties, retries, starts, tail, trouble};

/// How long the thread waits for the client before it looks whether something else is to do.
const TURN: Duration = Duration::from_millis(50);
/// Between two commits.
const COMMIT: Duration = Duration::from_secs(1);
/// Messages that end before a commit is made early.
const MANY: usize = 1_000;
/// Between two looks for topics and retries.
const LOOK: Duration = Duration::from_secs(2);
/// How long a member that rejoins waits for its lanes to end.
const REJOIN: Duration = Duration::from_secs(10);

/// A lane that the group gave to this member, and the messages of its partition.
pub(super) struct Assigned {
    pub(super) cell: Arc<Cell>,
    pub(super) in_use: Arc<InUse>,
    pub(super) queue: PartitionQueue<Incoming>,
}

/// What the thread, the client's callbacks and the lanes share.
pub(super) struct Membership {
    pub(super) broker: Arc<Broker>,
    pub(super) group: String,
    pub(super) wish: Subscribe,
    consumer: OnceLock<Weak<BaseConsumer<Incoming>>>,
    /// Reads the topics of retries, which no group divides: each partition belongs to the lane of the same number.
    retrier: OnceLock<Weak<BaseConsumer<Quiet>>>,
    lanes: Mutex<HashMap<(String, i32), Arc<Cell>>>,
    ready: Mutex<VecDeque<Result<Assigned, BrokerError>>>,
    pub(super) arrived: Notify,
    /// Topics that were there when the member came.
    pub(super) first_topics: Mutex<BTreeSet<String>>,
    /// Held while a commit is made, and while lanes are taken away.
    pub(super) committing: Mutex<()>,
    /// Held while a lane gets the retries of a tier.
    pub(super) adding: Mutex<()>,
    /// Held while the client of retries is told what to read, and what no more.
    pub(super) reading: Mutex<()>,
    pub(super) joined: watch::Sender<bool>,
    rejoin: AtomicBool,
    stop: AtomicBool,
    /// Whether what fails waits in its place.
    pub(super) in_place: bool,
    /// Where lanes settle exactly once.
    pub(super) desk: Option<Desk>,
    /// What the brokers know this member by since the last assignment.
    assignment: Mutex<Option<Arc<ConsumerGroupMetadata>>>,
    assigned: Condvar,
    /// Between two times that what did not change is committed again.
    keep: Duration,
}

/// Who is dropped last leaves the group: the stream of lanes and each lane have it.
pub(super) struct Handle(pub(super) Arc<Membership>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.broker.departures.leaves();
        self.0.stop.store(true, Ordering::Release);
    }
}

/// A lock that no panic spoils: what it guards is whole at all times.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Membership {
    /// Makes the clients and starts the thread, which joins the group. Blocks.
    pub(super) fn start(broker: Arc<Broker>, group: String, wish: Subscribe, keep: Duration) -> Result<Arc<Handle>, BrokerError> {
        let own = wish.own.read::<Subscription>()?;
        let mut transactions = own.exactly_once.then(|| Transactions::new(&broker, &group));
        if let Some(transactions) = &mut transactions {
            transactions.ready()?;
        }
        let config = properties::member(&broker.common, &broker.config, &wish, &group);
        let retrier = broker.reader(&group, false)?;
        let member = Arc::new(Membership {
            broker,
            group,
            wish,
            consumer: OnceLock::new(),
            retrier: OnceLock::new(),
            lanes: Mutex::default(),
            ready: Mutex::default(),
            arrived: Notify::new(),
            first_topics: Mutex::default(),
            committing: Mutex::default(),
            adding: Mutex::default(),
            reading: Mutex::default(),
            joined: watch::Sender::new(false),
            rejoin: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            in_place: own.retry_mode == RetryMode::Block,
            desk: transactions.is_some().then(Desk::default),
            assignment: Mutex::default(),
            assigned: Condvar::new(),
            keep,
        });
        let doing = |error: &KafkaError| trouble::told(&format!("a member of group {:?}", member.group), error);
        let consumer: BaseConsumer<Incoming> = config.create_with_context(Incoming(Arc::clone(&member))).map_err(|e| doing(&e))?;
        let (consumer, retrier) = (Arc::new(consumer), Arc::new(retrier));
        let _ = member.consumer.set(Arc::downgrade(&consumer));
        let _ = member.retrier.set(Arc::downgrade(&retrier));
        let topics = member.topics()?;
        starts::fix(&member, &topics)?;
        lock(&member.first_topics).extend(topics.iter().cloned());
        member.subscribe(&consumer, &topics)?;
        let thread = Arc::clone(&member);
        let named = std::thread::Builder::new().name(format!("kafka {}", member.group));
        let spawned = named.spawn(move || thread.live(consumer, retrier, topics, transactions));
        spawned.map_err(|error| BrokerError::retry(format!("no thread for group {:?}: {error}", member.group)))?;
        member.broker.departures.enter(&member);
        Ok(Arc::new(Handle(member)))
    }

    /// The topics that are meant now. Blocks.
    fn topics(&self) -> Result<BTreeSet<String>, BrokerError> {
        let mut topics: BTreeSet<String> =
            self.wish.topics.iter().filter(|topic| !topic.is_wild()).map(|topic| topic.as_str().to_owned()).collect();
        let wild: Vec<&Pattern> = self.wish.topics.iter().filter(|topic| topic.is_wild()).collect();
        if !wild.is_empty() {
            let all = self.broker.all_topics()?.into_iter().map(|(topic, _)| topic);
            topics.extend(all.filter(|topic| !is_retries(topic) && wild.iter().any(|pattern| pattern.matches(topic))));
        }
        Ok(topics)
    }

    fn subscribe(&self, consumer: &BaseConsumer<Incoming>, topics: &BTreeSet<String>) -> Result<(), BrokerError> {
        if topics.is_empty() {
            self.joined.send_replace(true);
            return Ok(());
        }
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(|error| trouble::told(&format!("joining group {:?}", self.group), &error))
    }

    /// The life of the member's thread, beside which its desk has one of its own.
    fn live(
        self: Arc<Self>,
        consumer: Arc<BaseConsumer<Incoming>>,
        retrier: Arc<BaseConsumer<Quiet>>,
        topics: BTreeSet<String>,
        transactions: Option<Transactions>,
    ) {
        let member = &*self;
        std::thread::scope(|both| {
            let desk = self.desk.as_ref().zip(transactions).map(|(desk, own)| both.spawn(move || desk.run(member, own)));
            self.run(&consumer, &retrier, topics);
            lock(&self.ready).clear();
            // Leaves the group, and commits what is settled while it does. Others do not wait for the desk.
            drop(consumer);
            drop(retrier);
            // A panic of it was told, and is none of this thread, which has left the group.
            let _ = desk.map(ScopedJoinHandle::join);
        });
        self.broker.departures.left();
    }

    fn run(self: &Arc<Self>, consumer: &Arc<BaseConsumer<Incoming>>, retrier: &BaseConsumer<Quiet>, mut topics: BTreeSet<String>) {
        let (mut committed, mut looked) = (Instant::now(), Instant::now());
        let mut keeping = Keeping::new(self.keep, committed);
        let mut watchdog = Watchdog::new(self.broker.config.session_timeout.get());
        while !self.is_over() {
            if let Some(Err(error)) = consumer.poll(TURN) {
                self.trouble(&error);
            }
            // Its messages go to the lanes; what is left are events.
            while let Some(event) = retrier.poll(Duration::ZERO) {
                if let Err(error) = event {
                    tracing::debug!(group = %self.group, "reading retries: {error}");
                }
            }
            if committed.elapsed() >= COMMIT || self.cells().iter().any(|cell| cell.book().completions >= MANY) {
                let _ = self.commit(consumer, &self.cells(), CommitMode::Async);
                committed = Instant::now();
            }
            if looked.elapsed() >= LOOK {
                if let Err(error) = self.look(consumer, &mut topics) {
                    tracing::debug!(group = %self.group, "{error}");
                }
                looked = Instant::now();
                if keeping.is_time(looked) {
                    self.cells().iter().for_each(|cell| cell.book().commit_again());
                }
                keeping.letters(&self.broker, looked);
                match watchdog.look(self, &topics, looked) {
                    Ok(()) => {}
                    Err(Verdict::Stuck(error)) => self.fail(error),
                    Err(Verdict::Unknown(error)) => tracing::debug!(group = %self.group, "{error}"),
                }
            }
            if self.rejoin.swap(false, Ordering::AcqRel) {
                self.join_anew(consumer, &topics);
            }
        }
    }

    /// Whether nobody has anything of it any more.
    pub(super) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// An error that came by itself.
    fn trouble(&self, error: &KafkaError) {
        let Some(code) = error.rdkafka_error_code() else { return };
        let said = trouble::of_member(&format!("group {:?}", self.group), code, self.broker.was_in(&self.group));
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        match trouble::fix(code) {
            Fix::GiveUp => self.fail(said),
            _ if fatal => self.fail(BrokerError::reconnect(said.what)),
            // All others pass: the client tries again by itself.
            _ => tracing::debug!(group = %self.group, "{said}"),
        }
    }

    /// The subscription cannot go on.
    pub(super) fn fail(&self, error: BrokerError) {
        let error = if self.broker.was_in(&self.group) { trouble::once_in(error) } else { error };
        self.push(Err(error));
    }

    /// Looks for what no rebalance tells: topics that a pattern means now, retries that others put there, and those that were purged.
    fn look(self: &Arc<Self>, consumer: &BaseConsumer<Incoming>, topics: &mut BTreeSet<String>) -> Result<(), BrokerError> {
        if self.wish.topics.iter().any(Pattern::is_wild) {
            let now = self.topics()?;
            if now != *topics {
                *topics = now;
                if topics.is_empty() { consumer.unsubscribe() } else { self.subscribe(consumer, topics)? }
            }
        }
        let mut by_topic: HashMap<String, Vec<Arc<Cell>>> = HashMap::new();
        for ((topic, _), cell) in &*self.lanes() {
            by_topic.entry(topic.clone()).or_default().push(Arc::clone(cell));
        }
        by_topic.iter().try_for_each(|(topic, cells)| retries::discover(self, topic, cells))?;
        if let Err(error) = tail::skip(self) {
            tracing::debug!(group = %self.group, "{error}");
        }
        for cell in self.cells() {
            if retries::were_purged(self, &cell)? {
                tracing::info!(group = %self.group, "retries were removed: lanes begin anew");
                self.rejoin.store(true, Ordering::Release);
            }
        }
        Ok(())
    }

    fn join_anew(&self, consumer: &BaseConsumer<Incoming>, topics: &BTreeSet<String>) {
        consumer.unsubscribe();
        let until = Instant::now() + REJOIN;
        while !self.cells().is_empty() && Instant::now() < until {
            let _ = consumer.poll(TURN);
        }
        if let Err(error) = self.subscribe(consumer, topics) {
            self.fail(error);
        }
    }

    /// Commits what changed in these lanes, but for those that are taken away. Blocks for as long as the brokers take, unless it is told not to.
    fn commit(&self, consumer: &BaseConsumer<Incoming>, cells: &[Arc<Cell>], mode: CommitMode) -> Result<(), BrokerError> {
        if self.desk.is_some() {
            // Which does so by itself.
            return Ok(());
        }
        let _fence = lock(&self.committing);
        self.commit_fenced(consumer, cells, mode)
    }

    /// The same, by somebody who keeps others from committing.
    pub(super) fn commit_fenced(
        &self,
        consumer: &BaseConsumer<Incoming>,
        cells: &[Arc<Cell>],
        mode: CommitMode,
    ) -> Result<(), BrokerError> {
        let mut list = TopicPartitionList::new();
        for cell in cells {
            let mut book = cell.book();
            if book.ended {
                continue;
            }
            let partition = book.partition;
            for commit in book.take_commits() {
                let mut entry = list.add_partition(&commit.topic, partition);
                let _ = entry.set_offset(Offset::Offset(commit.offset));
                if !commit.note.is_empty() {
                    entry.set_metadata(&commit.note);
                }
            }
        }
        if list.count() == 0 {
            return Ok(());
        }
        consumer.commit(&list, mode).map_err(|error| {
            list.elements().iter().for_each(|entry| self.not_committed(entry.topic(), entry.partition(), false));
            trouble::told(&format!("committing for group {:?}", self.group), &error)
        })
    }

    /// Commits for lanes that are in use, at once, also what another commit is on its way with. Blocks.
    pub(super) fn commit_now(&self, cells: &[Arc<Cell>]) -> Result<(), BrokerError> {
        if let Some(desk) = &self.desk {
            return desk.note(cells);
        }
        let Some(consumer) = self.consumer() else { return Ok(()) };
        let _fence = lock(&self.committing);
        cells.iter().for_each(|cell| cell.book().commit_again());
        self.commit_fenced(&consumer, cells, CommitMode::Sync)
    }

    /// What an answer to a commit says.
    pub(super) fn committed(&self, result: &Result<(), KafkaError>, list: &TopicPartitionList) {
        for entry in list.elements() {
            let error = entry.error().err().or_else(|| result.clone().err());
            let Some(code) = error.and_then(|error| error.rdkafka_error_code()) else { continue };
            let too_large = code == Code::OffsetMetadataTooLarge;
            if too_large {
                let (topic, partition) = (entry.topic(), entry.partition());
                tracing::warn!(
                    topic,
                    partition,
                    "the brokers take no note of that length (offset.metadata.max.bytes): what is finished above the offset may come again"
                );
            } else {
                tracing::debug!(group = %self.group, topic = entry.topic(), partition = entry.partition(), "not committed: {code}");
            }
            self.not_committed(entry.topic(), entry.partition(), too_large);
        }
    }

    fn not_committed(&self, topic: &str, partition: i32, without_note: bool) {
        for cell in self.cells() {
            let mut book = cell.book();
            if book.partition == partition {
                book.not_committed(topic, without_note);
            }
        }
    }

    /// What the brokers know this member by from now on. Lanes that were taken away by then have ended.
    pub(super) fn set_assignment(&self, consumer: &BaseConsumer<Incoming>) {
        if self.desk.is_some() {
            *lock(&self.assignment) = consumer.group_metadata().map(Arc::new);
            self.assigned.notify_all();
        }
    }

    /// What they know it by since the last assignment. Taken at the moment of a commit it would let a lane commit that the assignment took away.
    pub(super) fn assignment(&self) -> Option<Arc<ConsumerGroupMetadata>> {
        lock(&self.assignment).clone()
    }

    /// Waits for another one; not for ever. Blocks.
    pub(super) fn await_assignment(&self, than: Option<&Arc<ConsumerGroupMetadata>>, most: Duration) {
        let is_same = |now: &mut Option<Arc<ConsumerGroupMetadata>>| match (now, than) {
            (Some(now), Some(than)) => Arc::ptr_eq(now, than),
            (now, than) => now.is_none() && than.is_none(),
        };
        let _ = self.assigned.wait_timeout_while(lock(&self.assignment), most, is_same);
    }

    /// The client, as long as it lives.
    pub(super) fn consumer(&self) -> Option<Arc<BaseConsumer<Incoming>>> {
        self.consumer.get()?.upgrade()
    }

    /// The client that reads retries, as long as it lives.
    pub(super) fn retrier(&self) -> Option<Arc<BaseConsumer<Quiet>>> {
        self.retrier.get()?.upgrade()
    }

    pub(super) fn lanes(&self) -> MutexGuard<'_, HashMap<(String, i32), Arc<Cell>>> {
        lock(&self.lanes)
    }

    /// All lanes.
    pub(super) fn cells(&self) -> Vec<Arc<Cell>> {
        self.lanes().values().cloned().collect()
    }

    /// What the stream of lanes is to bring.
    pub(super) fn push(&self, next: Result<Assigned, BrokerError>) {
        lock(&self.ready).push_back(next);
        self.arrived.notify_one();
    }

    /// Puts a lane back that could not be begun yet; one that was taken away meanwhile stays away.
    pub(super) fn put_back(&self, assigned: Assigned) {
        let mut ready = lock(&self.ready);
        if assigned.cell.is_revoked() {
            return;
        }
        ready.push_front(Ok(assigned));
        drop(ready);
        self.arrived.notify_one();
    }

    pub(super) fn pop(&self) -> Option<Result<Assigned, BrokerError>> {
        lock(&self.ready).pop_front()
    }

    /// Nobody takes this lane any more.
    pub(super) fn forget_ready(&self, cell: &Arc<Cell>) {
        lock(&self.ready).retain(|next| next.as_ref().map_or(true, |assigned| !Arc::ptr_eq(&assigned.cell, cell)));
    }

    /// The retries of a tier on a topic.
    pub(super) fn retry_topic(&self, topic: &str, tier: Tier) -> String {
        tier.topic(topic, &self.group)
    }
}
