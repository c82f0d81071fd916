//! Looking into topics without moving anybody. What was removed from among dead letters is not seen.

use std::sync::Arc;

use longshore_core::{Batch, BrokerError, Facts, Message, Page, Receipt};
use rdkafka::message::{BorrowedMessage, Message as _};

use super::broker::Broker;
use super::dead::Removed;
use super::place::Place;
use super::{reading, record};

/// Messages that are read at once, downwards.
const READ_AHEAD: i64 = 64;

/// A page of a topic: partitions one after another, each in its order. Blocks.
pub(super) fn page(broker: &Arc<Broker>, topic: &str, page: Page) -> Result<Batch, BrokerError> {
    let mut batch = Batch::default();
    let Some(count) = broker.partitions(topic)? else { return Ok(batch) };
    let removed = Removed::of(broker, topic, count)?;
    match page {
        Page::After(position, most) => {
            let after = Place::of(position).unwrap_or(Place::new(count, 0));
            for partition in after.partition..count {
                let (low, high) = broker.watermarks(topic, partition)?;
                let from = if partition == after.partition { (after.offset + 1).max(low) } else { low };
                if batch.len() == most {
                    break;
                }
                reading::each(broker, topic, partition, from, high, |message| {
                    if !removed.has(partition, message.offset()) {
                        push(topic, message, &mut batch);
                    }
                    batch.len() < most
                })?;
            }
        }
        Page::Before(position, most) => {
            let before = Place::of(position).unwrap_or(Place::new(count, 0));
            for partition in (0..count.min(before.partition.saturating_add(1))).rev() {
                let (low, high) = broker.watermarks(topic, partition)?;
                let below = if partition == before.partition { before.offset.min(high) } else { high };
                downwards(broker, topic, partition, low..below, most, &removed, &mut batch)?;
            }
        }
    }
    Ok(batch)
}

fn downwards(
    broker: &Broker,
    topic: &str,
    partition: i32,
    range: std::ops::Range<i64>,
    most: usize,
    removed: &Removed,
    batch: &mut Batch,
) -> Result<(), BrokerError> {
    let (low, mut below) = (range.start, range.end);
    while batch.len() < most && below > low {
        let from = below.saturating_sub(READ_AHEAD).max(low);
        let mut window = Batch::default();
        reading::each(broker, topic, partition, from, below, |message| {
            if !removed.has(partition, message.offset()) {
                push(topic, message, &mut window);
            }
            true
        })?;
        (0..window.len()).rev().take(most - batch.len()).for_each(|index| batch.push_from(&window, index));
        below = from;
    }
    Ok(())
}

/// Whether there is anything in a topic after a position. Blocks.
pub(super) fn is_more(broker: &Broker, topic: &str, after: u64) -> Result<bool, BrokerError> {
    let Some(count) = broker.partitions(topic)? else { return Ok(false) };
    let after = Place::of(after).unwrap_or(Place::new(count, 0));
    for partition in after.partition..count {
        let (low, high) = broker.watermarks(topic, partition)?;
        if high > low && (partition > after.partition || high > after.offset + 1) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn push(topic: &str, message: &BorrowedMessage<'_>, into: &mut Batch) {
    let sorted = record::read(message);
    let facts = Facts { undecodable: sorted.is_none(), ..Facts::default() };
    let sorted = sorted.unwrap_or_default();
    let own = format!("{topic}/{}/{}", message.partition(), message.offset());
    let row = Message {
        id: sorted.id.unwrap_or(&own),
        topic,
        key: message.key(),
        payload: message.payload(),
        headers: sorted.list.iter().copied(),
        timestamp: message.timestamp().to_millis().and_then(|millis| u64::try_from(millis).ok()).unwrap_or(0),
        attempt: 1,
    };
    let position = Place::new(message.partition(), message.offset()).position();
    into.push(&row, Receipt { position, token: &[] }, facts);
}
