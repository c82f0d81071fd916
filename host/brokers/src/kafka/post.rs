//! Sending: many records on their way at once, and for each what became of it. A full queue is waited for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
    fates: Mutex<Vec<Option<Fate>>>,
    left: AtomicUsize,
    all: Notify,
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
        self.answers.fates.lock().unwrap_or_else(PoisonError::into_inner)[self.index] = Some(fate);
        if self.answers.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.answers.all.notify_one();
        }
    }
}

type Native = ThreadedProducer<Outgoing, NoCustomPartitioner>;

/// The producer of a broker. One that failed for good is made anew.
pub(super) struct Post {
    config: ClientConfig,
    context: Outgoing,
    native: Mutex<Arc<Native>>,
}

impl Post {
    pub(super) fn new(config: ClientConfig, watch: Arc<Watch>) -> Result<Self, KafkaError> {
        let context = Outgoing { watch, room: Arc::default() };
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
        let count = letters.len();
        let answers = Arc::new(Answers { fates: Mutex::new(vec![None; count]), left: AtomicUsize::new(count), all: Notify::new() });
        for (index, letter) in letters.into_iter().enumerate() {
            self.enqueue(&native, letter, Box::new(Slot { answers: Arc::clone(&answers), index })).await;
        }
        while answers.left.load(Ordering::Acquire) > 0 {
            answers.all.notified().await;
        }
        let fates = std::mem::take(&mut *answers.fates.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(fates.into_iter().map(|fate| fate.unwrap_or(Err(Code::Unknown))).collect())
    }

    async fn enqueue(&self, native: &Native, letter: Letter<'_>, slot: Box<Slot>) {
        let mut record = BaseRecord::with_opaque_to(letter.topic, slot);
        (record.partition, record.key, record.payload) = (letter.partition, letter.key, letter.payload);
        record.headers = letter.headers;
        record.timestamp = i64::try_from(letter.timestamp).ok().filter(|at| *at > 0);
        loop {
            let room = self.context.room.notified();
            match native.send(record) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    record = back;
                    let _ = tokio::time::timeout(ROOM, room).await;
                }
                Err((error, back)) => {
                    back.delivery_opaque.answer(Err(error.rdkafka_error_code().unwrap_or(Code::Unknown)));
                    return;
                }
            }
        }
    }
}
