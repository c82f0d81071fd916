//! Publishing: everything is sent, and then the server is asked one thing more. It reads in order, so its answer says that it has read all.
//! Whether somebody listened, nobody says.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::HeaderMap;
use longshore_core::row::Row;
use longshore_core::{Batch, BoxFuture, BrokerError, Connection, Finding, Outbox, PublishError, Publisher};

use super::Broker;
use super::requests::unsent;
use crate::nats::headers::{MESSAGE_ID, encode, is_plain};
use crate::nats::heard::Doing;
use crate::nats::names::{check_topic, is_inbox};

type Answer = Result<String, PublishError>;

impl Publisher for Broker {
    fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Result<Vec<Answer>, BrokerError>> {
        Box::pin(async move {
            if let Err(error) = self.link.check() {
                return Ok(vec![Err(PublishError::Unavailable(error.what)); outbox.len()]);
            }
            let rows = || (0..outbox.len()).map(|i| outbox.row(i));
            let mut answers = Vec::with_capacity(outbox.len());
            for (i, row) in rows().enumerate() {
                answers.push(self.send(row, outbox.delay(i)).await);
            }
            if answers.iter().any(Result::is_ok) {
                self.confirm(&mut answers).await;
                let sent = rows().zip(&answers).filter(|(row, answer)| answer.is_ok() && !is_inbox(row.topic()));
                let topics: BTreeSet<&str> = sent.map(|(row, _)| row.topic()).collect();
                self.link.heard.await_refusals(&topics.into_iter().collect::<Vec<_>>()).await;
            }
            for (row, answer) in rows().zip(&mut answers).filter(|(row, answer)| answer.is_ok() && self.may_not_publish(row.topic())) {
                *answer = Err(denied(row.topic()));
            }
            Ok(answers)
        })
    }

    fn request<'a>(&'a self, outbox: &'a Outbox, timeout: Duration) -> BoxFuture<'a, Result<Batch, PublishError>> {
        Box::pin(self.ask(outbox, timeout))
    }

    fn is_reply_address(&self, topic: &str) -> bool {
        is_inbox(topic)
    }

    fn check<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        Box::pin(async move {
            self.link.check()?;
            Ok(self.check_publishing(topic).await)
        })
    }
}

impl Broker {
    async fn send(&self, row: Row<'_>, delay: u64) -> Answer {
        let payload = self.admit(row, delay)?;
        if self.may_not_publish(row.topic()) {
            return Err(denied(row.topic()));
        }
        if is_inbox(row.topic()) {
            return self.link.reply(row).await;
        }
        let (headers, id) = self.headers(row)?;
        let sent = self.link.client.publish_with_headers(row.topic().to_owned(), headers, payload.into()).await;
        sent.map(|()| id).map_err(|error| unsent(row.topic(), &error))
    }

    /// The payload of a message that core NATS can carry.
    pub(super) fn admit(&self, row: Row<'_>, delay: u64) -> Result<Vec<u8>, PublishError> {
        let Some(payload) = row.payload() else {
            let what = "a message without payload (a tombstone); an empty payload is one like any other";
            return Err(PublishError::Unsupported(what.into()));
        };
        if delay > 0 {
            let what = "core NATS keeps nothing, so it has no delayed messages; publish to a topic of another broker";
            return Err(PublishError::Unsupported(what.into()));
        }
        if !is_inbox(row.topic()) {
            check_topic(row.topic()).map_err(PublishError::Invalid)?;
        }
        Ok(payload.to_vec())
    }

    /// A message's headers with its id, which it gets here where it has none.
    pub(super) fn headers(&self, row: Row<'_>) -> Result<(HeaderMap, String), PublishError> {
        let id = match row.id() {
            "" => format!("{}{}", self.sender, self.sent.fetch_add(1, Ordering::Relaxed)),
            id if is_plain(id) => id.to_owned(),
            id => {
                let what = format!("id {id:?} has control characters or white space around, which NATS cannot carry");
                return Err(PublishError::Invalid(what));
            }
        };
        let mut headers = encode(row).unwrap_or_default();
        headers.insert(MESSAGE_ID, id.as_str());
        Ok((headers, id))
    }

    /// Waits until the server has read what was sent. Where it does not say so, nobody knows what became of it.
    async fn confirm(&self, answers: &mut [Answer]) {
        if let Err(error) = self.link.ping().await {
            answers
                .iter_mut()
                .filter(|answer| answer.is_ok())
                .for_each(|answer| *answer = Err(PublishError::Unavailable(error.what.clone())));
        }
    }

    pub(super) fn may_not_publish(&self, topic: &str) -> bool {
        self.link.heard.has_refused(Doing::Publishing, topic)
    }
}

pub(super) fn denied(topic: &str) -> PublishError {
    PublishError::Denied(format!("topic {topic:?}: the user of the broker has no right to publish there; give it `publish` for it"))
}
