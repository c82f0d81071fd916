//! Requests: kept by the topic's stream like any message, with an inbox of core NATS in a header for the answer.
//!
//! A stream confirms what is published at the message's own reply address, so that cannot be where the answer goes.

use std::time::Duration;

use async_nats::{StatusCode, Subscriber};
use futures::StreamExt;
use longshore_core::row::{self, Row};
use longshore_core::{Batch, Facts, Message, Outbox, PublishError, Receipt, headers};

use super::streams::Broker;
use crate::nats::headers::{decode, encode};

/// Status of the server when nobody listens.
const NOBODY: u16 = 503;

impl Broker {
    /// Publishes the one message of `outbox` and waits for what comes to its inbox.
    pub(super) async fn ask(&self, outbox: &Outbox, timeout: Duration) -> Result<Batch, PublishError> {
        let inbox = self.link.client.new_inbox();
        let mut answers = self.listen(&inbox).await?;
        let message = outbox.get(0);
        let kept = message.headers.clone().filter(|(name, _)| *name != headers::REPLY_TO);
        let with_inbox = kept.chain(std::iter::once((headers::REPLY_TO, inbox.as_bytes())));
        let Message { id, topic, key, payload, timestamp, attempt, .. } = message;
        let mut bytes = Vec::new();
        row::append(&mut bytes, &Message { id, topic, key, payload, headers: with_inbox, timestamp, attempt });
        self.publish_one(Row::at(&bytes, 0).expect("it was just written"), outbox.delay(0)).await?;
        let Ok(Some(answer)) = tokio::time::timeout(timeout, answers.next()).await else { return Err(PublishError::Timeout) };
        if let Some(heard) = &answer.reply {
            // Whoever answered may go on without waiting for that.
            let _ = self.link.client.publish(heard.clone(), Vec::new().into()).await;
        }
        let decoded = answer.headers.as_ref().map(decode).unwrap_or_default();
        let id = decoded.id.map_or_else(|| format!("{inbox}/1"), Into::into);
        let message = Message {
            id: &id,
            topic: &inbox,
            key: decoded.key.as_deref(),
            payload: Some(&answer.payload),
            headers: decoded.headers(),
            timestamp: decoded.timestamp.unwrap_or_else(|| self.clock.now()),
            attempt: 1,
        };
        let mut batch = Batch::default();
        batch.push(&message, Receipt { position: 1, token: &[] }, Facts::default());
        Ok(batch)
    }

    /// Sends an answer to where a request said; an error where nobody waits any more.
    ///
    /// The server tells at once that nobody listens, and reads in order what we send: our own word behind the answer says that it did not.
    pub(super) async fn reply(&self, row: Row<'_>) -> Result<String, PublishError> {
        let back = self.link.client.new_inbox();
        let mut heard = self.listen(&back).await?;
        let client = &self.link.client;
        let trouble = |error: async_nats::PublishError| PublishError::Unavailable(error.to_string());
        let payload = row.payload().unwrap_or_default().to_vec();
        let headers = encode(row).unwrap_or_default();
        client.publish_with_reply_and_headers(row.topic().to_owned(), back.clone(), headers, payload.into()).await.map_err(trouble)?;
        client.publish(back.clone(), Vec::new().into()).await.map_err(trouble)?;
        match tokio::time::timeout(self.link.patience, heard.next()).await {
            Ok(Some(word)) if word.status.is_some_and(|status: StatusCode| status.as_u16() == NOBODY) => {
                Err(PublishError::Invalid(format!("nobody waits at {:?}: the request was answered, or has timed out", row.topic())))
            }
            Ok(Some(_)) => Ok(if row.id().is_empty() { format!("{}/1", row.topic()) } else { row.id().into() }),
            Ok(None) | Err(_) => Err(PublishError::Timeout),
        }
    }

    async fn listen(&self, inbox: &str) -> Result<Subscriber, PublishError> {
        self.link.client.subscribe(inbox.to_owned()).await.map_err(|error| PublishError::Unavailable(error.to_string()))
    }
}
