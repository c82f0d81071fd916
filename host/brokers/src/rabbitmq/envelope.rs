//! A message as AMQP properties and headers, and back.
//!
//! What AMQP has a place for goes there (`message-id`, `timestamp`, `reply-to`, `correlation-id`, `priority`), headers go as headers, and the
//! host's own book-keeping goes into headers that no handler sees ([`OURS`]). A header table has no order and no name twice: a name that
//! repeats is an array, and where the order is not that of the names, [`ORDER`] keeps it.

mod order;

use std::borrow::Cow;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use longshore_core::row::Headers;
use longshore_core::{Facts, Message, PublishError, headers};

/// The message's key.
const KEY: &str = "longshore-key";
/// Milliseconds since the Unix epoch: the property has whole seconds.
const TIMESTAMP: &str = "longshore-timestamp";
/// The order of headers, see [`order`].
const ORDER: &str = "longshore-header-order";
/// The topic, where the routing key does not say it.
const TOPIC: &str = "longshore-topic";
/// Attempt that the delivery counts as.
const ATTEMPT: &str = "longshore-attempt";
/// Deliveries before this copy was made.
const DELIVERIES: &str = "longshore-deliveries";
/// Milliseconds since the Unix epoch of the first failure.
const FIRST_FAILED_AT: &str = "longshore-first-failed-at";
/// Position that the message had where it was first received.
const POSITION: &str = "longshore-position";
/// The lane that gave it that position.
const LANE: &str = "longshore-lane";
/// The book-keeping, which no handler sees and none may write.
const OURS: [&str; 9] = [KEY, TIMESTAMP, ORDER, TOPIC, ATTEMPT, DELIVERIES, FIRST_FAILED_AT, POSITION, LANE];
/// What RabbitMQ writes into headers, and what it reads there as orders of its own.
const BROKERS: [&str; 11] = [
    "x-death",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
    "x-last-death-exchange",
    "x-last-death-queue",
    "x-last-death-reason",
    "x-delivery-count",
    "x-acquired-count",
    "CC",
    "BCC",
];
/// Header by which a publisher asks for a priority.
const PRIORITY: &str = "priority";
/// `delivery-mode` of messages that outlive a restart.
const PERSISTENT: u8 = 2;

/// What the host adds to a message when it sends it back for a retry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    pub(super) place: Place,
    pub(super) attempt: u32,
    pub(super) deliveries: u32,
    pub(super) first_failed_at: u64,
}

/// Where a message was first received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) position: u64,
    /// Names the lane; random.
    pub(super) lane: u64,
}

/// A received message, borrowed from what the client has.
pub(super) struct Received<'a> {
    pub(super) id: &'a str,
    pub(super) topic: &'a str,
    pub(super) key: Option<&'a [u8]>,
    pub(super) headers: Vec<(&'a str, Cow<'a, [u8]>)>,
    pub(super) timestamp: u64,
    pub(super) attempt: u32,
    pub(super) facts: Facts,
    /// Where it was received before, for a retry.
    pub(super) place: Option<Place>,
}

/// The properties of `message`, which gets `id`. `routed_by` is the routing key under which it leaves.
pub(super) fn pack(message: &Message<'_, Headers<'_>>, id: &str, routed_by: &str, now: u64) -> Result<BasicProperties, PublishError> {
    let timestamp = if message.timestamp == 0 { now } else { message.timestamp };
    let mut table = FieldTable::default();
    let mut properties =
        BasicProperties::default().with_delivery_mode(PERSISTENT).with_message_id(short("id", id)?).with_timestamp(timestamp / 1000);
    for (name, value) in message.headers.clone() {
        if OURS.contains(&name) || BROKERS.contains(&name) {
            return Err(PublishError::Invalid(format!("header {name:?} is not a handler's to write: RabbitMQ or this host reads it")));
        }
        match name {
            headers::CORRELATION_ID => properties = with_text(value, properties, BasicProperties::with_correlation_id),
            headers::REPLY_TO => properties = with_text(value, properties, BasicProperties::with_reply_to),
            PRIORITY => properties = with_priority(value, properties),
            _ => {}
        }
        add(&mut table, short("header", name)?, value);
    }
    if let Some(order) = order::of(message.headers.clone()) {
        table.insert(ORDER.into(), AMQPValue::LongString(order.into()));
    }
    table.insert(TIMESTAMP.into(), number(timestamp));
    if let Some(key) = message.key {
        table.insert(KEY.into(), bytes(key));
    }
    if message.topic != routed_by {
        table.insert(TOPIC.into(), bytes(message.topic.as_bytes()));
    }
    Ok(properties.with_headers(table))
}

/// The properties of the copy that comes again as `retry` says. What would send it elsewhere or end it early is left out.
pub(super) fn pack_again(original: &BasicProperties, topic: &str, retry: Retry) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in original.headers().iter().flat_map(|table| table.inner()) {
        if !BROKERS.contains(&name.as_str()) {
            table.insert(name.clone(), value.clone());
        }
    }
    table.insert(TOPIC.into(), bytes(topic.as_bytes()));
    table.insert(ATTEMPT.into(), number(u64::from(retry.attempt)));
    table.insert(DELIVERIES.into(), number(u64::from(retry.deliveries)));
    table.insert(FIRST_FAILED_AT.into(), number(retry.first_failed_at));
    table.insert(POSITION.into(), number(retry.place.position));
    table.insert(LANE.into(), number(retry.place.lane));
    let mut copy = BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(table);
    if let Some(value) = original.message_id() {
        copy = copy.with_message_id(value.clone());
    }
    if let Some(value) = original.content_type() {
        copy = copy.with_content_type(value.clone());
    }
    if let Some(value) = original.content_encoding() {
        copy = copy.with_content_encoding(value.clone());
    }
    if let Some(value) = original.correlation_id() {
        copy = copy.with_correlation_id(value.clone());
    }
    if let Some(value) = original.reply_to() {
        copy = copy.with_reply_to(value.clone());
    }
    if let Some(value) = original.priority() {
        copy = copy.with_priority(*value);
    }
    if let Some(value) = original.timestamp() {
        copy = copy.with_timestamp(*value);
    }
    if let Some(value) = original.kind() {
        copy = copy.with_type(value.clone());
    }
    if let Some(value) = original.app_id() {
        copy = copy.with_app_id(value.clone());
    }
    copy
}

/// What a delivery says. `topic` is what it was published to, unless its headers know better.
pub(super) fn unpack<'a>(properties: &'a BasicProperties, topic: &'a str, redelivered: bool) -> Received<'a> {
    let table = properties.headers().as_ref();
    let get = |name: &str| table.and_then(|table| table.inner().get(name));
    let count = |name: &str| get(name).and_then(read_number).unwrap_or(0);
    let small = |name: &str| u32::try_from(count(name)).unwrap_or(u32::MAX);
    let topic = get(TOPIC).and_then(read_text).unwrap_or(topic);
    let unanswered = match get("x-delivery-count") {
        Some(count) => read_number(count).and_then(|count| u32::try_from(count).ok()).unwrap_or(u32::MAX),
        None => u32::from(redelivered),
    };
    Received {
        id: properties.message_id().as_ref().map_or("", ShortString::as_str),
        topic,
        key: get(KEY).and_then(read_bytes),
        headers: read_headers(properties),
        timestamp: get(TIMESTAMP).and_then(read_number).unwrap_or_else(|| properties.timestamp().map_or(0, |seconds| seconds * 1000)),
        attempt: small(ATTEMPT).max(1),
        facts: Facts {
            deliveries: small(DELIVERIES).saturating_add(unanswered).saturating_add(1),
            unanswered,
            first_failed_at: count(FIRST_FAILED_AT),
            ..Facts::default()
        },
        place: get(POSITION).and_then(read_number).map(|position| Place { position, lane: count(LANE) }),
    }
}

/// The headers that a handler sees, in their order.
fn read_headers(properties: &BasicProperties) -> Vec<(&str, Cow<'_, [u8]>)> {
    let mut found = Vec::new();
    let mut order = None;
    for (name, value) in properties.headers().iter().flat_map(|table| table.inner()) {
        match (name.as_str(), value) {
            (ORDER, value) => order = read_bytes(value),
            (name, _) if OURS.contains(&name) || BROKERS.contains(&name) => {}
            (name, AMQPValue::FieldArray(values)) => {
                found.extend(values.as_slice().iter().filter_map(|value| Some((name, read_any(value)?))));
            }
            (name, value) => found.extend(read_any(value).map(|value| (name, value))),
        }
    }
    for (name, property) in
        [(headers::REPLY_TO, properties.reply_to().as_ref()), (headers::CORRELATION_ID, properties.correlation_id().as_ref())]
    {
        // Whoever is no Longshore host says it in the property alone.
        if let Some(value) = property.filter(|_| !found.iter().any(|(there, _)| *there == name)) {
            found.push((name, Cow::Borrowed(value.as_str().as_bytes())));
        }
    }
    if let Some(order) = order {
        order::restore(&mut found, order);
    }
    found
}

/// A value as bytes; nested ones are not a handler's.
fn read_any(value: &AMQPValue) -> Option<Cow<'_, [u8]>> {
    if let Some(bytes) = read_bytes(value) {
        return Some(Cow::Borrowed(bytes));
    }
    let text = match value {
        AMQPValue::Boolean(value) => value.to_string(),
        AMQPValue::Float(value) => value.to_string(),
        AMQPValue::Double(value) => value.to_string(),
        AMQPValue::Void => String::new(),
        _ => integer(value)?.to_string(),
    };
    Some(Cow::Owned(text.into_bytes()))
}

fn read_bytes(value: &AMQPValue) -> Option<&[u8]> {
    match value {
        AMQPValue::LongString(text) => Some(text.as_bytes()),
        AMQPValue::ByteArray(bytes) => Some(bytes.as_slice()),
        AMQPValue::ShortString(text) => Some(text.as_str().as_bytes()),
        _ => None,
    }
}

fn read_text(value: &AMQPValue) -> Option<&str> {
    std::str::from_utf8(read_bytes(value)?).ok()
}

fn read_number(value: &AMQPValue) -> Option<u64> {
    u64::try_from(integer(value)?).ok()
}

fn integer(value: &AMQPValue) -> Option<i128> {
    match value {
        AMQPValue::ShortShortInt(value) => Some(i128::from(*value)),
        AMQPValue::ShortShortUInt(value) => Some(i128::from(*value)),
        AMQPValue::ShortInt(value) => Some(i128::from(*value)),
        AMQPValue::ShortUInt(value) => Some(i128::from(*value)),
        AMQPValue::LongInt(value) => Some(i128::from(*value)),
        AMQPValue::LongUInt(value) => Some(i128::from(*value)),
        AMQPValue::LongLongInt(value) => Some(i128::from(*value)),
        AMQPValue::Timestamp(value) => Some(i128::from(*value)),
        _ => None,
    }
}

fn add(table: &mut FieldTable, name: ShortString, value: &[u8]) {
    let value = bytes(value);
    let all = match table.inner().get(name.as_str()) {
        None => value,
        Some(AMQPValue::FieldArray(before)) => {
            let mut all = before.clone();
            all.push(value);
            AMQPValue::FieldArray(all)
        }
        Some(before) => AMQPValue::FieldArray(vec![before.clone(), value].into()),
    };
    table.insert(name, all);
}

fn bytes(value: &[u8]) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

fn number(value: u64) -> AMQPValue {
    AMQPValue::LongLongInt(i64::try_from(value).unwrap_or(i64::MAX))
}

/// AMQP's short text: at most 255 bytes.
fn short(what: &str, text: &str) -> Result<ShortString, PublishError> {
    ShortString::try_new(text)
        .map_err(|_| PublishError::Invalid(format!("{what} {text:.40}… is longer than the 255 bytes that AMQP allows")))
}

fn with_text(value: &[u8], properties: BasicProperties, set: fn(BasicProperties, ShortString) -> BasicProperties) -> BasicProperties {
    match std::str::from_utf8(value).ok().and_then(|text| ShortString::try_new(text).ok()) {
        Some(text) => set(properties, text),
        None => properties,
    }
}

fn with_priority(value: &[u8], properties: BasicProperties) -> BasicProperties {
    match std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()) {
        Some(priority @ 0..=9) => properties.with_priority(priority),
        _ => properties,
    }
}

#[cfg(test)]
mod tests;
