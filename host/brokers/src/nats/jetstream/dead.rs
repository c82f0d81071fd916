//! Dead letters: given back to the group that failed, as copies among its retries, or removed.

use async_nats::HeaderMap;
use async_nats::header::HeaderValue;
use async_nats::jetstream::message::StreamMessage;
use longshore_core::row::{self, Row};
use longshore_core::{BoxFuture, BrokerError, DeadLetters, Message, headers};

use super::api::{self, Said};
use super::retries::Journey;
use super::streams::Broker;
use super::{messages, retries};
use crate::letter;
use crate::nats::headers::{ID, MESSAGE_ID, TIMESTAMP, decode, encode, is_plain};
use crate::nats::names::{check_object, check_topic};

type Answer<'a> = BoxFuture<'a, Result<u64, BrokerError>>;

/// What its headers say of a dead letter.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    topic: String,
    group: String,
    id: String,
    redrives: u32,
}

impl DeadLetters for Broker {
    fn redrive<'a>(&'a self, topic: &'a str, positions: &'a [u64]) -> Answer<'a> {
        Box::pin(async move {
            let about = |said: Said| said.about(format!("dead letters of {topic:?}"));
            let Some(stream) = self.stream_with(topic).await.map_err(about)? else { return Ok(0) };
            let mut count = 0;
            for position in positions {
                // A position that was named twice is gone the second time.
                let Some(letter) = self.letter(stream.name(), topic, *position).await.map_err(about)? else { continue };
                match origin(&letter) {
                    Ok(origin) => {
                        self.give_back(stream.name(), &letter, &origin).await.map_err(about)?;
                        count += u64::from(api::delete_message(&self.js, stream.name(), *position).await.map_err(about)?);
                    }
                    Err(what) => tracing::warn!("message {topic}/{position} is not given back: {what}"),
                }
            }
            Ok(count)
        })
    }

    fn remove<'a>(&'a self, topic: &'a str, positions: &'a [u64]) -> Answer<'a> {
        Box::pin(async move {
            let about = |said: Said| said.about(format!("dead letters of {topic:?}"));
            let Some(stream) = self.stream_with(topic).await.map_err(about)? else { return Ok(0) };
            let mut count = 0;
            for position in positions {
                if self.letter(stream.name(), topic, *position).await.map_err(about)?.is_some() {
                    count += u64::from(api::delete_message(&self.js, stream.name(), *position).await.map_err(about)?);
                }
            }
            Ok(count)
        })
    }
}

impl Broker {
    async fn letter(&self, stream: &str, topic: &str, position: u64) -> Result<Option<StreamMessage>, Said> {
        let message = messages::at(&self.js, stream, position).await?;
        Ok(message.filter(|message| message.subject.as_str() == topic))
    }

    /// Keeps a copy for the group. The same letter twice is one copy: by its subject as long as it waits, by its id for a while after.
    async fn give_back(&self, from: &str, letter: &StreamMessage, origin: &Origin) -> Result<(), Said> {
        let stream = self.stream_for(&origin.topic, None, self.declare).await?;
        self.ensure_retries(self.declare).await.map_err(|error| Said::Trouble(error.what))?;
        // A stream that was made anew counts from one again.
        let name = format!("{from}-{}-{}", letter.sequence, letter.time.unix_timestamp_nanos());
        let subject = retries::subject(&stream, &origin.group, format_args!("dead.{name}"));
        if messages::last(&self.js, retries::STREAM, &subject).await?.is_some() {
            return Ok(());
        }
        let mut headers = revived(letter);
        headers.insert(ID, origin.id.as_str());
        headers.insert(MESSAGE_ID, format!("redrive/{name}").as_str());
        let journey =
            Journey { topic: origin.topic.clone(), attempt: 1, redrives: origin.redrives.saturating_add(1), ..Journey::default() };
        journey.write(&mut headers);
        let trouble = |error: async_nats::jetstream::context::PublishError| Said::Trouble(crate::nats::link::with_causes(&error));
        let sent = self.js.publish_with_headers(subject, headers, letter.payload.clone()).await.map_err(trouble)?;
        sent.await.map(drop).map_err(trouble)
    }
}

/// Where a dead letter comes from, or why it is none.
fn origin(message: &StreamMessage) -> Result<Origin, String> {
    let decoded = decode(&message.headers);
    let told = letter::origin(|name| decoded.headers().find(|(n, _)| *n == name).map(|(_, value)| value))
        .map_err(|what| format!("{what}; publish it where it should go instead"))?;
    check_topic(told.topic)?;
    check_object(told.group)?;
    let id = told.id.or(decoded.id).filter(|id| is_plain(id)).unwrap_or_default();
    Ok(Origin { topic: told.topic.into(), group: told.group.into(), id: id.into(), redrives: told.redrives })
}

/// The headers of the message as it was before it died.
fn revived(letter: &StreamMessage) -> HeaderMap {
    let decoded = decode(&letter.headers);
    let stored_at = u64::try_from(letter.time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    let message = Message {
        id: "",
        topic: "",
        key: decoded.key.as_deref(),
        payload: Some(&[]),
        headers: decoded.headers().filter(|(name, _)| !name.starts_with(headers::DEAD_PREFIX)),
        timestamp: decoded.timestamp.unwrap_or(stored_at),
        attempt: 1,
    };
    let mut bytes = Vec::new();
    row::append(&mut bytes, &message);
    let mut map = encode(Row::at(&bytes, 0).expect("it was just written")).unwrap_or_default();
    if map.get(TIMESTAMP).is_none() {
        map.insert(TIMESTAMP, HeaderValue::from(stored_at));
    }
    map
}
