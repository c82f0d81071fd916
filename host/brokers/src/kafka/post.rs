//! Sending: many records on their way at once, and for each what became of it. A full queue is waited for.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::BrokerError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};
use tokio::sync::Notify;

use super::trouble;
use super::watch::Watch;

/// Longest wait for room in the queue before it is looked at again.
const ROOM: Duration = Duration::from_millis(100);
/// The same for a thread, which nobody wakes.
const ROOM_OF_A_THREAD: Duration = Duration::from_millis(2);

/// A record on its way out.
pub(super) struct Letter<'a> {
    pub(super) topic: &'a str,
    /// `None`: by the key.
    pub(super) partition: Option<i32>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) payload: Option<&'a [u8]>,
    pub(super) headers: Option<OwnedHeaders>,
    /// Milliseconds since the Unix epoch; 0 = now.
    pub(super) timestamp: u64,
}

/// Where a record is kept, as partition and offset, or why it is not.
pub(super) type Fate = Result<(i32, i64), Code>;

/// The answers to what was sent together.
struct Answers {
    told: Mutex<Told>,
    /// For a task.
    all: Notify,
    /// For a thread.
    all_blocking: Condvar,
}

/// Those that came.
struct Told {
    fates: Vec<Option<Fate>>,
    left: usize,
}

/// One of them to come.
pub(super) struct Slot {
    answers: Arc<Answers>,
    index: usize,
}

/// What the client tells.
#[derive(Clone)]
pub(super) struct Outgoing {
    watch: Arc<Watch>,
    /// Something left the queue.
    room: Arc<Notify>,
    /// Bytes of a payload for which there is room once nothing else is in the queue.
    largest: usize,
}

impl Outgoing {
    /// For a client of that configuration.
    pub(super) fn new(watch: Arc<Watch>, config: &ClientConfig) -> Self {
        let queue = config.get("queue.buffering.max.kbytes").and_then(|text| text.parse::<usize>().ok());
        Outgoing { watch, room: Arc::default(), largest: queue.map_or(usize::MAX, |kib| kib.saturating_mul(1024)) }
    }
}

impl ClientContext for Outgoing {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        self.watch.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.watch.error(&error, reason);
    }
}

impl ProducerContext for Outgoing {
    type DeliveryOpaque = Box<Slot>;

    fn delivery(&self, result: &DeliveryResult<'_>, slot: Box<Slot>) {
        let fate = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(Code::Unknown)),
        };
        slot.answer(fate);
        self.room.notify_waiters();
    }
}

impl Slot {
    fn answer(&self, fate: Fate) {
        let mut told = self.answers.told();
        told.fates[self.index] = Some(fate);
        told.left -= 1;
        if told.left == 0 {
            self.answers.all.notify_one();
            self.answers.all_blocking.notify_one();
        }
    }
}

impl Answers {
    /// To so many records.
    fn new(count: usize) -> Arc<Self> {
        let told = Mutex::new(Told { fates: vec![None; count], left: count });
        Arc::new(Answers { told, all: Notify::new(), all_blocking: Condvar::new() })
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for all.
    async fn wait(&self) -> Vec<Fate> {
        while self.told().left > 0 {
            self.all.notified().await;
        }
        self.told().take()
    }

    /// The same, and blocks.
    fn wait_blocking(&self) -> Vec<Fate> {
        let told = self.all_blocking.wait_while(self.told(), |told| told.left > 0);
        told.unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Told {
    fn take(&mut self) -> Vec<Fate> {
        std::mem::take(&mut self.fates).into_iter().map(|fate| fate.unwrap_or(Err(Code::Unknown))).collect()
    }
}

pub(super) type Native = ThreadedProducer<Outgoing, NoCustomPartitioner>;
type Record<'l> = BaseRecord<'l, [u8], [u8], Box<Slot>>;

/// The producer of a broker. One that failed for good is made anew.
pub(super) struct Post {
    config: ClientConfig,
    context: Outgoing,
    native: Mutex<Arc<Native>>,
}

impl Post {
    pub(super) fn new(config: ClientConfig, watch: Arc<Watch>) -> Result<Self, KafkaError> {
        let context = Outgoing::new(watch, &config);
        let native = Mutex::new(Arc::new(config.create_with_context(context.clone())?));
        Ok(Post { config, context, native })
    }

    /// The client.
    pub(super) fn native(&self) -> Arc<Native> {
        Arc::clone(&self.native.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The client, made anew if it can send nothing any more: what it had not sent was answered for.
    fn living(&self) -> Result<Arc<Native>, BrokerError> {
        let mut native = self.native.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((code, reason)) = native.client().fatal_error() {
            tracing::error!(broker = %self.context.watch.name, "the producer of Kafka failed for good, and is made anew: {code}: {reason}");
            let made = self.config.create_with_context(self.context.clone());
            let old = std::mem::replace(&mut *native, Arc::new(made.map_err(|error| trouble::told("the producer", &error))?));
            // It waits for a thread of its own.
            std::thread::spawn(move || drop(old));
        }
        Ok(Arc::clone(&native))
    }

    /// Sends all and waits for every answer.
    pub(super) async fn send(&self, letters: Vec<Letter<'_>>) -> Result<Vec<Fate>, BrokerError> {
        if letters.is_empty() {
            return Ok(Vec::new());
        }
        let native = self.living()?;
        let answers = Answers::new(letters.len());
        for (index, letter) in letters.into_iter().enumerate() {
            let mut record = record(letter, Slot { answers: Arc::clone(&answers), index });
            loop {
                let room = self.context.room.notified();
                let Some(back) = enqueue(&native, record) else { break };
                record = back;
                let _ = tokio::time::timeout(ROOM, room).await;
            }
        }
        Ok(answers.wait().await)
    }
}

/// Sends all by that client and waits for every answer. Blocks.
pub(super) fn send_blocking(native: &Native, letters: Vec<Letter<'_>>) -> Vec<Fate> {
    let answers = Answers::new(letters.len());
    for (index, letter) in letters.into_iter().enumerate() {
        let mut record = record(letter, Slot { answers: Arc::clone(&answers), index });
        while let Some(back) = enqueue(native, record) {
            record = back;
            std::thread::sleep(ROOM_OF_A_THREAD);
        }
    }
    answers.wait_blocking()
}

fn record(letter: Letter<'_>, slot: Slot) -> Record<'_> {
    let mut record = BaseRecord::with_opaque_to(letter.topic, Box::new(slot));
    (record.partition, record.key, record.payload) = (letter.partition, letter.key, letter.payload);
    record.headers = letter.headers;
    record.timestamp = i64::try_from(letter.timestamp).ok().filter(|at| *at > 0);
    record
}

/// Sends a record, or answers for it; gives it back where there is no room.
fn enqueue<'l>(native: &Native, record: Record<'l>) -> Option<Record<'l>> {
    if record.payload.is_some_and(|payload| payload.len() > native.context().largest) {
        record.delivery_opaque.answer(Err(Code::MessageSizeTooLarge));
        return None;
    }
    match native.send(record) {
        Ok(()) => None,
        Err((KafkaError::MessageProduction(Code::QueueFull), back)) => Some(back),
        Err((error, back)) => {
            back.delivery_opaque.answer(Err(error.rdkafka_error_code().unwrap_or(Code::Unknown)));
            None
        }
    }
}
