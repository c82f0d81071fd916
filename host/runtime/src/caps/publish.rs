//! `publisher`: out at once, confirmed, whatever becomes of the message being handled.
//!
//! What is granted, what fits and what the broker can do is checked here, before anything leaves. Trying again is not: an error goes
//! back to the guest.

use std::time::Duration;

use futures::future::join_all;
use longshore_core::{Destination, Flag, Message, Outbox, Outlet, Outlets, PublishError, headers};
use tokio::time::timeout;

use crate::bindings::publisher::Host;
use crate::bindings::types::{self, Error, Outgoing};
use crate::current::Current;
use crate::state::State;

/// The longest span and the latest point in time that the host's formats hold, milliseconds.
pub(crate) const LONGEST: u64 = (1 << 53) - 1;

impl Host for State {
    async fn send(&mut self, message: Outgoing) -> Result<String, Error> {
        let mut answers = self.publish(vec![message]).await;
        answers.pop().unwrap_or_else(|| Err(Error::Other("the broker did not answer for the message".into())))
    }

    async fn send_all(&mut self, messages: Vec<Outgoing>) -> Vec<Result<String, Error>> {
        self.publish(messages).await
    }

    async fn request(&mut self, message: Outgoing, within: u64) -> Result<types::Message, Error> {
        let (outlet, outbox) = {
            let mut outbox = Outbox::default();
            let broker = self.pack(&message, &mut outbox)?;
            (&self.granted.outlets.brokers[broker], outbox)
        };
        if !outlet.capabilities.has(Flag::RequestReply) {
            return Err(Error::Unsupported(format!("broker {:?} has no request and reply", outlet.broker)));
        }
        let within = Duration::from_millis(within.min(LONGEST));
        let answer = match timeout(within, outlet.publisher.request(&outbox, within)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(Error::Timeout),
        };
        if answer.is_empty() {
            return Err(Error::Other(format!("broker {:?} answered the request without a message", outlet.broker)));
        }
        Ok(owned(&answer.get(0)))
    }
}

impl State {
    /// Publishes all, a broker's messages together, and answers for each in order.
    async fn publish(&mut self, messages: Vec<Outgoing>) -> Vec<Result<String, Error>> {
        let outlets = &self.granted.outlets;
        let mut outboxes: Vec<(Outbox, Vec<usize>)> = outlets.brokers.iter().map(|_| Default::default()).collect();
        let mut answers = Vec::with_capacity(messages.len());
        let stamp = self.stamp();
        for (i, message) in messages.iter().enumerate() {
            let packed = self.destination(message).and_then(|(broker, topic)| {
                pack(&outlets.brokers[broker], &topic, message, &stamp, &mut outboxes[broker].0)?;
                outboxes[broker].1.push(i);
                Ok(())
            });
            answers.push(packed.map(|()| String::new()));
        }
        let used = outboxes.iter().zip(&outlets.brokers).filter(|((outbox, _), _)| !outbox.is_empty());
        let within = self.granted.publish_timeout;
        let published = join_all(used.map(|((outbox, indices), outlet)| async move { (indices, confirmed(outlet, outbox, within).await) }));
        for (indices, results) in published.await {
            for (i, result) in indices.iter().zip(results) {
                answers[*i] = result;
            }
        }
        answers.into_iter().map(|answer| answer.map_err(Error::from)).collect()
    }

    /// Whether an output that a job settles with is granted and fits. Whether somebody waits for a reply, the engine finds out.
    pub(crate) fn check_output(&self, message: &Outgoing) -> Result<(), PublishError> {
        if matches!(message.to, types::Destination::Reply) {
            return Ok(());
        }
        self.pack(message, &mut Outbox::default()).map(|_| ())
    }

    fn pack(&self, message: &Outgoing, outbox: &mut Outbox) -> Result<usize, PublishError> {
        let (broker, topic) = self.destination(message)?;
        pack(&self.granted.outlets.brokers[broker], &topic, message, &self.stamp(), outbox)?;
        Ok(broker)
    }

    fn stamp(&self) -> Stamp {
        Stamp { now: self.granted.clock.now(), carried: self.log.with_current(Current::carried) }
    }

    /// The broker and its own topic that a message goes to.
    fn destination(&self, message: &Outgoing) -> Result<(usize, String), PublishError> {
        let outlets = &self.granted.outlets;
        match destination(&message.to) {
            Destination::Topic("") => Err(PublishError::Invalid("the topic has no name".into())),
            Destination::Topic(topic) => granted(outlets, topic),
            Destination::Output => match &outlets.output {
                Some(topic) => granted(outlets, topic),
                None => Err(PublishError::Denied("this handler has no output: name a topic as its `output`".into())),
            },
            Destination::Reply => self.reply(),
        }
    }

    /// Where the answer to the one message being handled goes.
    fn reply(&self) -> Result<(usize, String), PublishError> {
        self.log.with_current(|current| {
            let Some(call) = &current.call else {
                return Err(PublishError::Invalid("a job handles no message that could be replied to".into()));
            };
            let Some(row) = current.only() else {
                return Err(PublishError::Unsupported("a reply cannot be sent in a call of several messages: answer it instead".into()));
            };
            let topic = row.header(headers::REPLY_TO).and_then(|t| std::str::from_utf8(t).ok()).filter(|t| !t.is_empty());
            let Some(topic) = topic else {
                return Err(PublishError::Invalid("nobody waits for a reply to this message".into()));
            };
            let broker = self.granted.outlets.brokers.iter().position(|outlet| outlet.broker == call.subscription.broker);
            let Some(broker) = broker else {
                return Err(PublishError::Unsupported(format!("broker {:?} cannot publish a reply", call.subscription.broker)));
            };
            if !self.granted.outlets.brokers[broker].publisher.is_reply_address(topic) {
                return Err(PublishError::Invalid(format!("{topic:?}, which the message names for replies, is no address for one")));
            }
            Ok((broker, topic.into()))
        })
    }
}

/// One answer for each message of `outbox`, whatever the broker does.
async fn confirmed(outlet: &Outlet, outbox: &Outbox, within: Duration) -> Vec<Result<String, PublishError>> {
    let all = |error: PublishError| vec![Err(error); outbox.len()];
    match timeout(within, outlet.publisher.publish(outbox)).await {
        Err(_) => all(PublishError::Timeout),
        Ok(Err(error)) => all(PublishError::Unavailable(format!("broker {:?}: {error}", outlet.broker))),
        Ok(Ok(answers)) if answers.len() == outbox.len() => answers,
        Ok(Ok(_)) => all(PublishError::Unavailable(format!("broker {:?} did not answer for every message", outlet.broker))),
    }
}

/// What the host adds to every message that is sent now.
struct Stamp {
    now: u64,
    /// Headers, unless the guest has set them itself.
    carried: Vec<(&'static str, Vec<u8>)>,
}

/// The WIT's destination in the host's terms.
pub(crate) fn destination(to: &types::Destination) -> Destination<'_> {
    match to {
        types::Destination::Topic(topic) => Destination::Topic(topic),
        types::Destination::Output => Destination::Output,
        types::Destination::Reply => Destination::Reply,
    }
}

/// The delay that a message asks for, cut to the longest span that the host's formats hold.
pub(crate) fn delay(message: &Outgoing) -> u64 {
    message.delay.unwrap_or(0).min(LONGEST)
}

fn granted(outlets: &Outlets, topic: &str) -> Result<(usize, String), PublishError> {
    outlets.find(topic).map(|(broker, topic)| (broker, topic.to_owned()))
}

/// Appends `message` to what leaves through `outlet`, or says why it cannot.
fn pack(outlet: &Outlet, topic: &str, message: &Outgoing, stamp: &Stamp, outbox: &mut Outbox) -> Result<(), PublishError> {
    let delay = delay(message);
    if delay > 0 && !outlet.capabilities.has(Flag::Delay) {
        return Err(PublishError::Unsupported(format!("broker {:?} cannot delay a message", outlet.broker)));
    }
    if let Some((name, _)) = message.headers.iter().find(|(name, _)| headers::is_reserved(name)) {
        return Err(PublishError::Invalid(format!("header {name:?} is the host's own: only a dead letter carries it")));
    }
    let size = size(message);
    if size > outlet.max_message_size {
        return Err(PublishError::TooLarge(format!(
            "{size} bytes of payload, key and headers are more than the {} that broker {:?} takes",
            outlet.max_message_size, outlet.broker
        )));
    }
    let set = |name: &str| message.headers.iter().any(|(own, _)| own == name);
    let carried = stamp.carried.iter().filter(|(name, _)| !set(name)).map(|(name, value)| (*name, value.as_slice()));
    let row = Message {
        id: "",
        topic,
        key: message.key.as_deref(),
        payload: message.payload.as_deref(),
        headers: message.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).chain(carried),
        timestamp: stamp.now,
        attempt: 1,
    };
    outbox.push(&row, delay, 0);
    Ok(())
}

fn size(message: &Outgoing) -> usize {
    let bytes = |b: &Option<Vec<u8>>| b.as_ref().map_or(0, Vec::len);
    bytes(&message.key) + bytes(&message.payload) + message.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
}

/// A message as the guest's own.
pub(crate) fn owned<'h>(message: &Message<'_, impl Iterator<Item = (&'h str, &'h [u8])> + Clone>) -> types::Message {
    types::Message {
        id: message.id.into(),
        topic: message.topic.into(),
        key: message.key.map(Into::into),
        payload: message.payload.map(Into::into),
        headers: message.headers.clone().map(|(name, value)| (name.into(), value.into())).collect(),
        timestamp: message.timestamp,
        attempt: message.attempt,
    }
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
