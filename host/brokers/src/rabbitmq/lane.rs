//! The reading half of a lane: one consumer on a channel of its own. The lane ends with the channel, as delivery tags do.

use std::sync::{Arc, Mutex};

use futures::{FutureExt, StreamExt};
use lapin::message::Delivery;
use longshore_core::row::{ALIGN, HEAD};
use longshore_core::{Batch, BoxFuture, BrokerError, Message, Receipt, Room, Source};

use super::envelope::{self, Place, Received};
use super::held::{Held, Kept};
use super::server::lock;

/// What a lane counts its positions from, and how it is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Epoch {
    /// Microseconds since the Unix epoch when the lane began: a message's position is this and its delivery tag. As no lane receives one a
    /// microsecond, the positions of one that comes later are higher.
    pub(super) base: u64,
    /// Random.
    pub(super) lane: u64,
}

/// The consumer.
pub(super) struct Incoming {
    consumer: lapin::Consumer,
    /// Received and not appended, as there was no room.
    next: Option<Delivery>,
    held: Arc<Mutex<Held>>,
    epoch: Epoch,
    queue: String,
    /// The topic, where the subscription means just one.
    topic: Option<String>,
}

impl Incoming {
    /// `next` is what the consumer has brought already.
    pub(super) fn new(
        (consumer, next): (lapin::Consumer, Option<Delivery>),
        held: Arc<Mutex<Held>>,
        epoch: Epoch,
        queue: &str,
        topic: Option<String>,
    ) -> Self {
        Incoming { consumer, next, held, epoch, queue: queue.to_owned(), topic }
    }
}

/// The next delivery. Cancel-safe: it is taken from the client in the same moment as this ends.
pub(super) async fn next(consumer: &mut lapin::Consumer, queue: &str) -> Result<Delivery, BrokerError> {
    let cancelled = || format!("queue {queue:?}: RabbitMQ ended its consumer; the queue was deleted, or its node left");
    match consumer.next().await {
        Some(delivery) => delivery.map_err(|e| BrokerError::reconnect(format!("queue {queue:?}: {e}"))),
        None => Err(BrokerError::reconnect(cancelled())),
    }
}

impl Source for Incoming {
    fn fetch<'a>(&'a mut self, room: Room, into: &'a mut Batch) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            let first = match self.next.take() {
                Some(delivery) => delivery,
                None => next(&mut self.consumer, &self.queue).await?,
            };
            let mut waiting = Some(first);
            let (from, bytes) = (into.len(), into.bytes());
            let held = Arc::clone(&self.held);
            let mut held = lock(&held);
            while let Some(delivery) = waiting.take() {
                if !self.append(delivery, into, &mut held, (room.bytes + bytes, into.len() == from)) || into.len() - from >= room.messages {
                    break;
                }
                // What ended the consumer is told by the fetch that finds nothing else.
                waiting = match self.consumer.next().now_or_never() {
                    Some(Some(Ok(delivery))) => Some(delivery),
                    _ => None,
                };
            }
            Ok(())
        })
    }
}

impl Incoming {
    /// Appends a delivery, or keeps it for later when there is no room. The first always has some.
    fn append(&mut self, delivery: Delivery, into: &mut Batch, held: &mut Held, (most, is_first): (usize, bool)) -> bool {
        let topic = self.topic.as_deref().unwrap_or(delivery.routing_key.as_str());
        let received = envelope::unpack(&delivery.properties, topic, delivery.redelivered);
        if !is_first && into.bytes() + size(&received, &delivery.data) > most {
            self.next = Some(delivery);
            return false;
        }
        let tag = delivery.delivery_tag;
        let (place, is_retry) = place(&received, self.epoch, tag, held);
        push(into, &received, &delivery.data, Receipt { position: place.position, token: &tag.to_le_bytes() });
        let (topic, deliveries) = (received.topic.to_owned(), received.facts.deliveries);
        held.receive(tag, Kept { properties: delivery.properties, payload: delivery.data, topic, place, deliveries }, is_retry);
        true
    }
}

/// A retry stands where its message stood; anything else where it is now. Another host's place may be among this lane's own, or be taken, and
/// then the retry is a message like any other.
fn place(received: &Received<'_>, epoch: Epoch, tag: u64, held: &Held) -> (Place, bool) {
    let here = Place { position: epoch.base + tag, lane: epoch.lane };
    match received.place {
        Some(before) if (before.lane == epoch.lane || before.position <= epoch.base) && !held.has(before.position) => (before, true),
        _ => (here, false),
    }
}

/// Appends what was received to a batch.
pub(super) fn push(into: &mut Batch, received: &Received<'_>, payload: &[u8], receipt: Receipt<'_>) {
    let headers = received.headers.iter().map(|(name, value)| (*name, value.as_ref()));
    let message = Message {
        id: received.id,
        topic: received.topic,
        key: received.key,
        payload: Some(payload),
        headers,
        timestamp: received.timestamp,
        attempt: received.attempt,
    };
    into.push(&message, receipt, received.facts);
}

/// Bytes of its row.
fn size(received: &Received<'_>, payload: &[u8]) -> usize {
    let headers: usize = received.headers.iter().map(|(name, value)| 8 + name.len() + value.len()).sum();
    let content = received.id.len() + received.topic.len() + received.key.map_or(0, <[u8]>::len) + payload.len();
    (HEAD + headers + content).next_multiple_of(ALIGN)
}
