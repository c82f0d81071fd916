//! Publishing: each message confirmed by the stream that keeps it, many on their way at once.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::{PublishAckFuture, PublishError as JsError, PublishErrorKind};
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use longshore_core::row::Row;
use longshore_core::{Batch, BoxFuture, BrokerError, Finding, Outbox, PublishError, Publisher, headers};

use super::streams::Broker;
use crate::nats::headers::{ID, MESSAGE_ID, encode, is_plain};
use crate::nats::heard::Doing;
use crate::nats::link::with_causes;
use crate::nats::names::{check_topic, is_inbox};

/// Messages of one publish that wait for their confirms at once. The client allows 5,000 over all.
const WINDOW: usize = 512;

type Answer = Result<String, PublishError>;

/// A message that was sent, in its place among the others.
enum Sent {
    /// With what its id begins with if it has none.
    Message(PublishAckFuture, Arc<str>),
    /// An answer to a request, which no stream keeps and nothing follows.
    Reply,
}

/// Why a message is not kept.
enum Unkept {
    Refused(PublishError),
    /// The stream that took it is gone.
    Gone(PublishError),
}

impl From<PublishError> for Unkept {
    fn from(error: PublishError) -> Self {
        Unkept::Refused(error)
    }
}

impl Publisher for Broker {
    fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Result<Vec<Answer>, BrokerError>> {
        Box::pin(async move {
            if let Err(error) = self.link.check() {
                return Ok(vec![Err(PublishError::Unavailable(error.what)); outbox.len()]);
            }
            let rows: Vec<_> = (0..outbox.len()).map(|i| (outbox.row(i), outbox.delay(i))).collect();
            Ok(self.publish_rows(&rows).await)
        })
    }

    fn request<'a>(&'a self, outbox: &'a Outbox, timeout: Duration) -> BoxFuture<'a, Result<Batch, PublishError>> {
        Box::pin(self.ask(outbox, timeout))
    }

    fn is_reply_address(&self, topic: &str) -> bool {
        is_inbox(topic)
    }

    fn check<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        Box::pin(self.check_publishing(topic))
    }
}

impl Broker {
    /// Publishes rows with their delays, and answers for each. Where a stream was there and is gone, it is made again, and what it was to keep
    /// is published once more, in the same order.
    pub(super) async fn publish_rows(&self, rows: &[(Row<'_>, u64)]) -> Vec<Answer> {
        let mut answers = self.try_rows(rows).await;
        let gone: Vec<usize> = (0..rows.len()).filter(|i| matches!(answers[*i], Err(Unkept::Gone(_)))).collect();
        if !gone.is_empty() {
            let again: Vec<_> = gone.iter().map(|i| rows[*i]).collect();
            again.iter().for_each(|(row, _)| self.forget(row.topic()));
            for (i, answer) in gone.into_iter().zip(self.try_rows(&again).await) {
                answers[i] = answer;
            }
        }
        answers.into_iter().map(|answer| answer.map_err(|(Unkept::Refused(error) | Unkept::Gone(error))| error)).collect()
    }

    /// What ids begin with in the stream of each topic, which is made where it is missing; or why nothing can be kept there.
    async fn streams<'t>(&self, topics: impl Iterator<Item = &'t str>) -> BTreeMap<&'t str, Result<Arc<str>, PublishError>> {
        let mut streams = BTreeMap::new();
        for topic in topics.filter(|topic| !is_inbox(topic)).collect::<BTreeSet<_>>() {
            let stream = match check_topic(topic) {
                Ok(()) => self.stream_to_publish(topic).await.map_err(|said| said.of_publish(topic)),
                Err(what) => Err(PublishError::Invalid(what)),
            };
            streams.insert(topic, stream);
        }
        streams
    }

    /// Sends one after another, so that they are kept in this order, and waits for the answers of many at once.
    async fn try_rows(&self, rows: &[(Row<'_>, u64)]) -> Vec<Result<String, Unkept>> {
        let streams = self.streams(rows.iter().map(|(row, _)| row.topic())).await;
        let (mut answers, mut waiting) = (Vec::with_capacity(rows.len()), FuturesOrdered::new());
        for (row, delay) in rows {
            if waiting.len() == WINDOW {
                answers.extend(waiting.next().await);
            }
            let sent = self.send_row(*row, *delay, streams.get(row.topic())).await;
            waiting.push_back(self.kept(*row, sent));
        }
        answers.extend(waiting.collect::<Vec<_>>().await);
        answers
    }

    async fn send_row(&self, row: Row<'_>, delay: u64, stream: Option<&Result<Arc<str>, PublishError>>) -> Result<Sent, Unkept> {
        let topic = row.topic();
        let Some(payload) = row.payload() else {
            let what = "a message without payload (a tombstone); an empty payload is one like any other";
            return Err(PublishError::Unsupported(what.into()).into());
        };
        if delay > 0 {
            let what = "JetStream has no delayed messages here; publish to a topic of another broker, or let the handler snooze";
            return Err(PublishError::Unsupported(what.into()).into());
        }
        let Some(stream) = stream else { return Ok(Sent::Reply) };
        let ids = stream.clone()?;
        let (subject, payload) = (topic.to_owned(), payload.to_vec().into());
        let sent = match with_id(row)? {
            Some(headers) => self.js.publish_with_headers(subject, headers, payload).await,
            None => self.js.publish(subject, payload).await,
        };
        sent.map(|answer| Sent::Message(answer, ids)).map_err(|error| self.unkept(topic, &error))
    }

    /// Waits until it is kept; answers its id.
    async fn kept(&self, row: Row<'_>, sent: Result<Sent, Unkept>) -> Result<String, Unkept> {
        match sent? {
            Sent::Reply => Ok(self.link.reply(row).await?),
            Sent::Message(answer, ids) => match answer.await {
                Ok(_) if !row.id().is_empty() => Ok(row.id().into()),
                Ok(place) => Ok(format!("{ids}/{}", place.sequence)),
                Err(error) => Err(self.unkept(row.topic(), &error)),
            },
        }
    }

    fn unkept(&self, topic: &str, error: &JsError) -> Unkept {
        match error.kind() {
            PublishErrorKind::StreamNotFound => Unkept::Gone(refused(topic, error)),
            _ if self.link.heard.has_refused(Doing::Publishing, topic) => {
                PublishError::Denied(format!("topic {topic:?}: the user has no right to publish to it")).into()
            }
            _ => refused(topic, error).into(),
        }
    }
}

/// The headers of a message with its id, by which the server keeps it once.
fn with_id(row: Row<'_>) -> Result<Option<HeaderMap>, PublishError> {
    let encoded = encode(row);
    if row.id().is_empty() {
        return Ok(encoded);
    }
    if !is_plain(row.id()) {
        return Err(PublishError::Invalid(format!(
            "id {:?} has control characters or white space around, which NATS cannot carry",
            row.id()
        )));
    }
    let mut map = encoded.unwrap_or_default();
    let text = |name: &str| row.header(name).map(String::from_utf8_lossy).unwrap_or_default();
    let once = if row.header(headers::DEAD_REASON).is_some() {
        // It has the id of the message that died, which may die again once it was redriven: each death is kept.
        let death = [headers::DEAD_GROUP, headers::DEAD_SOURCE, headers::DEAD_FIRST_FAILED_AT, headers::DEAD_REDRIVES].map(text);
        format!("dead/{}/{}", death.join("/"), row.id())
    } else if row.header(headers::REDRIVEN_FROM).is_some() {
        // The message that died may still be remembered where its copy goes.
        format!("redriven/{}/{}", text(headers::REDRIVEN_FROM), row.id())
    } else {
        map.insert(MESSAGE_ID, row.id());
        return Ok(Some(map));
    };
    map.insert(MESSAGE_ID, once.replace(char::is_control, "").as_str());
    map.insert(ID, row.id());
    Ok(Some(map))
}

/// Why a message is not kept.
fn refused(topic: &str, error: &JsError) -> PublishError {
    let words = format!("topic {topic:?}: {}", with_causes(error));
    match error.kind() {
        PublishErrorKind::TimedOut => PublishError::Timeout,
        PublishErrorKind::MaxPayloadExceeded => PublishError::TooLarge(words),
        PublishErrorKind::Other => {
            let code = error.source().and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>()).map(|e| e.error_code().0);
            match code {
                // Larger than the stream's max_msg_size, or its headers than 64 KiB.
                Some(10054 | 10097) => PublishError::TooLarge(words),
                // The stream is sealed, or a mirror, or wants what we do not know.
                Some(10109 | 10137) => PublishError::Invalid(words),
                _ => PublishError::Unavailable(words),
            }
        }
        _ => PublishError::Unavailable(words),
    }
}
