//! The reading half of a lane: its partition and the retries that are due, in turn, so that neither starves the other. Not reading is
//! back-pressure: the client stops fetching once it has a little ahead.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Batch, BoxFuture, BrokerError, Facts, Fix, Message, Receipt, Room, Source};
use rdkafka::consumer::ConsumerContext;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message as _};
use tokio::time::Instant;

use super::blocked::{Tried, next_row};
use super::book::{Book, Which};
use super::broker::blocking;
use super::cell::{Cell, InUse};
use super::gather::{Gathered, Head, Heads, gather};
use super::member::Handle;
use super::names::Tier;
use super::place::{Delivered, Place, token};
use super::progress::Seen;
use super::rebalance::Incoming;
use super::record;
use super::retries::{is_ours, position};
use super::trouble;
use super::watch::Quiet;

/// For so long a new lane commits what it takes in hand before it hands it over: should it kill the host, the next one knows.
const YOUNG: Duration = Duration::from_secs(2);
/// Longest wait for a retry before the clock is read again: it may be set.
const LONGEST: Duration = Duration::from_secs(60);

/// One queue of messages.
struct Reader<C: ConsumerContext> {
    queue: PartitionQueue<C>,
    /// What has not found room, or is not due.
    head: Option<Head>,
    /// Its buffer when there is no head.
    spare: Batch,
}

/// Messages that are on their way to the batch, all of them in the book.
struct Pending {
    batch: Arc<Batch>,
    next: usize,
    /// Whether it may be handed over.
    sealed: bool,
}

/// The reading half. Fields are dropped in this order: queues before what keeps their client.
pub(super) struct LaneSource {
    main: Reader<Incoming>,
    tiers: BTreeMap<Tier, Reader<Quiet>>,
    pending: Option<Pending>,
    /// What came after the messages that are pending, and is told after them.
    failed: Option<BrokerError>,
    retry_first: bool,
    young_until: Instant,
    topic: String,
    partition: i32,
    cell: Arc<Cell>,
    _in_use: Arc<InUse>,
    handle: Arc<Handle>,
}

impl LaneSource {
    pub(super) fn new(
        cell: Arc<Cell>,
        topic: String,
        partition: i32,
        queue: PartitionQueue<Incoming>,
        in_use: Arc<InUse>,
        handle: Arc<Handle>,
    ) -> Self {
        LaneSource {
            main: Reader::new(queue),
            tiers: BTreeMap::new(),
            pending: None,
            failed: None,
            retry_first: false,
            young_until: Instant::now() + YOUNG,
            topic,
            partition,
            cell,
            _in_use: in_use,
            handle,
        }
    }
}

impl Source for LaneSource {
    fn fetch<'a>(&'a mut self, room: Room, into: &'a mut Batch) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            loop {
                for (tier, queue) in self.cell.take_arrivals() {
                    self.tiers.insert(tier, Reader::new(queue));
                }
                if self.pending.is_none() {
                    self.pending = self.collect(room)?;
                }
                if self.pending.is_some() {
                    self.cell.got();
                    self.seal().await?;
                    self.hand_over(room, into);
                    return Ok(());
                }
                let due = self.next_due();
                let _waiting = self.cell.wait();
                tokio::select! {
                    () = self.cell.came.notified() => {}
                    () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => {}
                }
            }
        })
    }
}

impl LaneSource {
    /// Takes what has come, as far as there is room, and enters it into the book. Waits for nothing.
    fn collect(&mut self, room: Room) -> Result<Option<Pending>, BrokerError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let now = self.handle.0.broker.clock.now();
        let cell = Arc::clone(&self.cell);
        let mut book = cell.book();
        if book.ended {
            return Ok(None);
        }
        let is_full = book.is_full();
        let Gathered { batch, places, failed } =
            gather(room, &mut Turns { source: self, book: &mut book, now, main: !is_full, retry: true });
        if batch.is_empty() {
            return failed.map_or(Ok(None), Err);
        }
        self.failed = failed;
        let batch = Arc::new(batch);
        places.iter().enumerate().for_each(|(index, (which, offset))| book.hold(*which, *offset, &batch, index));
        Ok(Some(Pending { batch, next: 0, sealed: false }))
    }

    /// The next new message.
    fn fresh(&mut self, book: &mut Book) -> Result<Option<Head>, BrokerError> {
        if let Some(head) = self.main.head.take() {
            return Ok(Some(head));
        }
        if !book.has_room(None) {
            return Ok(None);
        }
        let (topic, partition) = (&self.topic, self.partition);
        while let Some(polled) = self.main.queue.poll(Duration::ZERO) {
            let message = polled.map_err(|error| self.of_read(&error))?;
            let Seen::Fresh { unanswered } = book.see(None, message.offset()) else { continue };
            let mut row = std::mem::take(&mut self.main.spare);
            write_fresh(&message, topic, partition, unanswered, &mut row);
            match book.tried(None, message.offset()) {
                Some(tried) => block(book, (None, message.offset()), &row, tried),
                None => return Ok(Some(Head { row, offset: message.offset(), blocked: false, due: 0 })),
            }
            row.clear();
            self.main.spare = row;
            return Ok(None);
        }
        Ok(None)
    }

    /// The next retry that is due, with its tier.
    fn retry(&mut self, book: &mut Book, now: u64) -> Result<Option<(Tier, Head)>, BrokerError> {
        let (group, id) = (&self.handle.0.group, book.topic_id);
        for (tier, reader) in &mut self.tiers {
            while reader.head.is_none() && book.has_room(Some(*tier)) {
                let Some(polled) = reader.queue.poll(Duration::ZERO) else { break };
                let Ok(message) = polled else { continue };
                let Seen::Fresh { unanswered } = book.see(Some(*tier), message.offset()) else { continue };
                let mut row = std::mem::take(&mut reader.spare);
                match write_retry(&message, (&self.topic, id), group, *tier, unanswered, &mut row) {
                    Some(due) => match book.tried(Some(*tier), message.offset()) {
                        Some(tried) => block(book, (Some(*tier), message.offset()), &row, tried),
                        None => reader.head = Some(Head { row, offset: message.offset(), blocked: false, due }),
                    },
                    None => {
                        book.pass(Some(*tier), message.offset());
                        reader.spare = row;
                    }
                }
            }
            if reader.head.as_ref().is_some_and(|head| head.due <= now) {
                return Ok(reader.head.take().map(|head| (*tier, head)));
            }
        }
        Ok(None)
    }

    /// In a young lane, commits what is in hand before it is handed over.
    async fn seal(&mut self) -> Result<(), BrokerError> {
        if let Some(pending) = &mut self.pending
            && !pending.sealed
        {
            if Instant::now() < self.young_until {
                let (member, cell) = (Arc::clone(&self.handle.0), Arc::clone(&self.cell));
                let noted = blocking(move || member.commit_now(&[cell])).await;
                // A rebalance may be in the way: it tells by itself should the lane be another's.
                noted.map_err(|error| BrokerError { fix: Fix::Retry, ..error })?;
            }
            pending.sealed = true;
        }
        Ok(())
    }

    /// Appends what is pending. Waits for nothing, so that a dropped fetch has all of it or none.
    fn hand_over(&mut self, room: Room, into: &mut Batch) {
        let Some(pending) = &mut self.pending else { return };
        let (messages, bytes) = (into.len(), into.bytes());
        while pending.next < pending.batch.len() && into.len() - messages < room.messages {
            let row = pending.batch.row(pending.next).size();
            if into.len() > messages && into.bytes() - bytes + row > room.bytes {
                return;
            }
            into.push_from(&pending.batch, pending.next);
            pending.next += 1;
        }
        if pending.next == pending.batch.len() {
            self.pending = None;
        }
    }

    /// How long until the first retry is due.
    fn next_due(&self) -> Option<Duration> {
        let now = self.handle.0.broker.clock.now();
        let blocked = self.cell.book().blocked.next_due();
        // What holds the lane comes before everything else.
        let due = blocked.or_else(|| self.tiers.values().filter_map(|reader| reader.head.as_ref()).map(|head| head.due).min())?;
        Some(Duration::from_millis(due.saturating_sub(now)).clamp(Duration::from_millis(1), LONGEST))
    }

    fn of_read(&self, error: &KafkaError) -> BrokerError {
        let doing = format!("reading partition {} of topic {:?}", self.partition, self.topic);
        let mut said = trouble::once_in(trouble::told(&doing, error));
        if error.rdkafka_error_code() == Some(Code::AutoOffsetReset) {
            // What is read next is gone: where to go on is found when the lane begins anew.
            said.fix = Fix::Reconnect;
        }
        said
    }
}

/// Messages of a lane, new ones and retries in turn.
struct Turns<'a> {
    source: &'a mut LaneSource,
    book: &'a mut Book,
    now: u64,
    /// Whether there may be more of each.
    main: bool,
    retry: bool,
}

impl Heads for Turns<'_> {
    fn next(&mut self) -> Result<Option<(Which, Head)>, BrokerError> {
        loop {
            if let Some((which, offset, row)) = self.book.blocked.take_due(self.now) {
                return Ok(Some((which, Head { row, offset, blocked: true, due: 0 })));
            }
            // What holds the lane holds all of it.
            if !self.book.blocked.is_empty() || !(self.main || self.retry) {
                return Ok(None);
            }
            let wants_retry = self.retry && (self.source.retry_first || !self.main);
            let next = if wants_retry {
                self.source.retry(self.book, self.now)?.map(|(tier, head)| (Some(tier), head))
            } else {
                self.source.fresh(self.book)?.map(|head| (None, head))
            };
            if next.is_some() {
                return Ok(next);
            }
            *(if wants_retry { &mut self.retry } else { &mut self.main }) = false;
        }
    }

    fn put_back(&mut self, which: Which, head: Head) {
        match which {
            _ if head.blocked => self.book.blocked.put((which, head.offset), head.row, head.due),
            None => self.source.main.head = Some(head),
            Some(tier) => {
                if let Some(reader) = self.source.tiers.get_mut(&tier) {
                    reader.head = Some(head);
                }
            }
        }
    }

    fn recycle(&mut self, which: Which, mut head: Head) {
        // The other kind is next.
        self.source.retry_first = which.is_none();
        head.row.clear();
        match which {
            None => self.source.main.spare = head.row,
            Some(tier) => {
                if let Some(reader) = self.source.tiers.get_mut(&tier) {
                    reader.spare = head.row;
                }
            }
        }
    }
}

impl<C: ConsumerContext> Reader<C> {
    fn new(queue: PartitionQueue<C>) -> Self {
        Reader { queue, head: None, spare: Batch::default() }
    }
}

fn timestamp(message: &BorrowedMessage<'_>) -> u64 {
    message.timestamp().to_millis().and_then(|millis| u64::try_from(millis).ok()).unwrap_or(0)
}

/// A message that an earlier owner tried holds the lane until it is due.
fn block(book: &mut Book, of: Delivered, row: &Batch, tried: Tried) {
    book.blocked.put(of, next_row(row, 0, of, tried, row.facts(0).unanswered), tried.not_before);
}

/// Makes the row of a message.
fn write_fresh(message: &BorrowedMessage<'_>, topic: &str, partition: i32, unanswered: u32, row: &mut Batch) {
    let sorted = record::read(message);
    let undecodable = sorted.is_none();
    let sorted = sorted.unwrap_or_default();
    let own;
    let id = match sorted.id {
        Some(id) => id,
        None => {
            own = format!("{topic}/{partition}/{}", message.offset());
            &own
        }
    };
    let facts = Facts { deliveries: 1 + unanswered, unanswered, undecodable, ..Facts::default() };
    let headers = sorted.list.iter().copied();
    let (key, payload) = (message.key(), message.payload());
    let token = token((None, message.offset()));
    let receipt = Receipt { position: Place::new(partition, message.offset()).position(), token: &token };
    row.push(&Message { id, topic, key, payload, headers, timestamp: timestamp(message), attempt: 1 }, receipt, facts);
}

/// Makes the row of a copy, and tells when it is due; `None` where it is no copy of the lane's.
fn write_retry(
    message: &BorrowedMessage<'_>,
    (topic, topic_id): (&str, u128),
    group: &str,
    tier: Tier,
    unanswered: u32,
    row: &mut Batch,
) -> Option<u64> {
    let sorted = record::read(message)?;
    let journey = sorted.journey.filter(|journey| is_ours(journey, topic, group))?;
    let facts = Facts {
        deliveries: journey.deliveries.saturating_add(1).saturating_add(unanswered),
        unanswered,
        redrives: journey.redrives,
        first_failed_at: journey.first_failed_at,
        ..Facts::default()
    };
    let headers = sorted.list.iter().copied();
    let (key, payload, id) = (message.key(), message.payload(), sorted.id.unwrap_or_default());
    let token = token((Some(tier), message.offset()));
    let receipt = Receipt { position: position(&journey, topic_id, tier, message.offset()), token: &token };
    row.push(&Message { id, topic, key, payload, headers, timestamp: journey.timestamp, attempt: journey.attempt }, receipt, facts);
    Some(journey.not_before)
}
