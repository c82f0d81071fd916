//! The host's imports, through the generated bindings: only conversions between their types and ours.

use std::time::{Duration, SystemTime};

use crate::{
    Error, Failure, Message, Outgoing,
    bindings::batched::longshore::messaging as imports,
    delivery::Details,
    log::Level,
    outgoing::{Destination, Parts},
    packed::Row,
    time::{from_epoch, millis},
};

pub(crate) use crate::bindings::job::longshore::messaging::consumer::{Delivery, Subscription, stopping};
pub(crate) use imports::{
    cache::Bucket as CacheBucket,
    config::{all as config_all, get as config_get},
    key_value::Bucket as KeyValueBucket,
    lock::{Guard, acquire, held},
};

pub(crate) fn log(origin: u32, level: Level, message: &str, fields: &[(&str, &str)]) {
    let level = match level {
        Level::Trace => imports::logging::Level::Trace,
        Level::Debug => imports::logging::Level::Debug,
        Level::Info => imports::logging::Level::Info,
        Level::Warn => imports::logging::Level::Warn,
        Level::Error => imports::logging::Level::Error,
    };
    imports::logging::log(origin, level, message, fields);
}

pub(crate) fn send(outgoing: &Outgoing) -> Result<String, Error> {
    Ok(imports::publisher::send(lower(&outgoing.parts()))?)
}

pub(crate) fn send_all(outgoing: &[Outgoing]) -> Vec<Result<String, Error>> {
    let parts: Vec<_> = outgoing.iter().map(Outgoing::parts).collect();
    let lowered: Vec<_> = parts.iter().map(lower).collect();
    imports::publisher::send_all(&lowered).into_iter().map(|sent| sent.map_err(Into::into)).collect()
}

pub(crate) fn request(outgoing: &Outgoing, timeout: Duration) -> Result<Message<'static>, Error> {
    lift(imports::publisher::request(lower(&outgoing.parts()), millis(timeout))?)
}

pub(crate) fn details(origin: u32) -> Details {
    let info = imports::delivery::details(origin);
    Details {
        subscription: info.subscription,
        group: info.group,
        broker: info.broker,
        partition: info.partition,
        position: info.position,
        deliveries: info.deliveries,
        max_attempts: info.max_attempts,
        first_failed_at: info.first_failed_at.map(from_epoch),
        redrives: info.redrives,
        wants_reply: info.wants_reply,
    }
}

pub(crate) fn deadline() -> SystemTime {
    from_epoch(imports::delivery::deadline())
}

pub(crate) fn message(delivery: &Delivery) -> Result<Message<'static>, Error> {
    lift(delivery.message())
}

pub(crate) fn settle(delivery: &Delivery, outcome: Result<&[Outgoing], &Failure>) -> Result<(), Error> {
    let parts: Vec<_> = outcome.unwrap_or_default().iter().map(Outgoing::parts).collect();
    let lowered: Vec<_> = parts.iter().map(lower).collect();
    let outcome = match outcome {
        Ok(_) => Ok(lowered.as_slice()),
        Err(failure) => Err(lower_failure(failure)),
    };
    Ok(delivery.settle(outcome)?)
}

fn lower<'a>(parts: &'a Parts<'a>) -> imports::types::OutgoingParam<'a> {
    imports::types::OutgoingParam {
        to: match parts.to {
            Destination::Topic(topic) => imports::types::DestinationParam::Topic(topic),
            Destination::Output => imports::types::DestinationParam::Output,
            Destination::Reply => imports::types::DestinationParam::Reply,
        },
        key: parts.key,
        payload: parts.payload,
        headers: &parts.headers,
        delay: parts.delay.map(millis),
    }
}

fn lower_failure(failure: &Failure) -> imports::types::FailureParam<'_> {
    use imports::types::{FailureParam, LaterParam};
    match failure {
        Failure::Retry(reason) => FailureParam::Retry(reason),
        Failure::RetryAfter(after, reason) => FailureParam::RetryAfter(LaterParam { after: millis(*after), reason }),
        Failure::Reject(reason) => FailureParam::Reject(reason),
        Failure::Discard(reason) => FailureParam::Discard(reason),
        Failure::Snooze(after) => FailureParam::Snooze(millis(*after)),
    }
}

/// A message that came as a record, packed into a row of its own so that there is one type of message.
fn lift(message: imports::types::Message) -> Result<Message<'static>, Error> {
    let mut row = Vec::new();
    let id = message.id.as_bytes();
    Row {
        word4: message.attempt,
        word8: message.timestamp,
        word16: u32::try_from(id.len()).unwrap_or(u32::MAX),
        first: id,
        topic: message.topic.as_bytes(),
        key: message.key.as_deref(),
        payload: message.payload.as_deref(),
        headers: message.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())),
    }
    .append(&mut row);
    Message::read(row).map_err(|damaged| Error::Other(damaged.to_string()))
}

impl From<imports::types::Error> for Error {
    fn from(error: imports::types::Error) -> Self {
        match error {
            imports::types::Error::Denied(what) => Self::Denied(what),
            imports::types::Error::Unsupported(what) => Self::Unsupported(what),
            imports::types::Error::TooLarge(what) => Self::TooLarge(what),
            imports::types::Error::Invalid(what) => Self::Invalid(what),
            imports::types::Error::Timeout => Self::Timeout,
            imports::types::Error::Unavailable(what) => Self::Unavailable(what),
            imports::types::Error::Conflict => Self::Conflict,
            imports::types::Error::Other(what) => Self::Other(what),
        }
    }
}
