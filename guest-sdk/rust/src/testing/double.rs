//! The functions of the host, answered from memory. Names and signatures are those of the imports of a component.

use std::time::{Duration, SystemTime};

use super::{
    Output,
    state::{Line, current},
};
use crate::{Error, Message, Outgoing, delivery::Details, log::Level};

pub(crate) use super::{
    consumer::{Delivery, Subscription, message, settle, stopping},
    locks::{Guard, acquire, held},
    stores::{CacheBucket, KeyValueBucket},
};

/// How long a call may take by default.
const DEADLINE: Duration = Duration::from_secs(5);

pub(crate) fn log(origin: u32, level: Level, message: &str, fields: &[(&str, &str)]) {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    current().logged.borrow_mut().push(Line { origin, level, message: message.to_owned(), fields });
}

pub(crate) fn config_get(key: &str) -> Option<String> {
    current().config.borrow().get(key).cloned()
}

pub(crate) fn config_all() -> Vec<(String, String)> {
    current().config.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

pub(crate) fn details(_origin: u32) -> Details {
    current().details.borrow().clone()
}

pub(crate) fn deadline() -> SystemTime {
    current().now.get() + DEADLINE
}

/// Answers the number of what was sent so far as the broker's id.
pub(crate) fn send(outgoing: &Outgoing) -> Result<String, Error> {
    let state = current();
    let output = Output::from(outgoing);
    if let Some(topic) = output.topic() {
        state.check(topic)?;
    }
    let mut sent = state.sent.borrow_mut();
    sent.push(output);
    Ok(sent.len().to_string())
}

pub(crate) fn send_all(outgoing: &[Outgoing]) -> Vec<Result<String, Error>> {
    outgoing.iter().map(send).collect()
}

/// Nobody answers after the test's answers are gone: the time is over.
pub(crate) fn request(outgoing: &Outgoing, _timeout: Duration) -> Result<Message<'static>, Error> {
    send(outgoing)?;
    let answer = current().answers.borrow_mut().pop_front();
    answer.map(|answer| answer.read()).ok_or(Error::Timeout)
}
