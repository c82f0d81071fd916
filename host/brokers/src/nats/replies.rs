//! Requests and their answers, over core NATS: an inbox of a request's own, so that whoever answers too late is told so.

use async_nats::{Message as Came, StatusCode, Subscriber};
use futures::StreamExt;
use longshore_core::row::Row;
use longshore_core::{Batch, Clock, Facts, Message, PublishError, Receipt};

use super::headers::{decode, encode};
use super::link::Link;

/// Status of the server when nobody listens.
pub(super) const NOBODY: u16 = 503;

impl Link {
    /// Hears what is sent to an inbox.
    pub(super) async fn listen(&self, inbox: &str) -> Result<Subscriber, PublishError> {
        self.client.subscribe(inbox.to_owned()).await.map_err(|error| PublishError::Unavailable(error.to_string()))
    }

    /// Sends an answer to where a request said; an error where nobody waits any more.
    ///
    /// The server tells at once that nobody listens, and reads in order what we send: our own word behind the answer says that it did not.
    pub(super) async fn reply(&self, row: Row<'_>) -> Result<String, PublishError> {
        let back = self.client.new_inbox();
        let mut heard = self.listen(&back).await?;
        let trouble = |error: async_nats::PublishError| PublishError::Unavailable(error.to_string());
        let payload = row.payload().unwrap_or_default().to_vec();
        let headers = encode(row).unwrap_or_default();
        let sent = self.client.publish_with_reply_and_headers(row.topic().to_owned(), back.clone(), headers, payload.into()).await;
        sent.map_err(trouble)?;
        self.client.publish(back.clone(), Vec::new().into()).await.map_err(trouble)?;
        match tokio::time::timeout(self.patience, heard.next()).await {
            Ok(Some(word)) if is_nobody(&word) => {
                Err(PublishError::Invalid(format!("nobody waits at {:?}: the request was answered, or has timed out", row.topic())))
            }
            Ok(Some(_)) => Ok(if row.id().is_empty() { format!("{}/1", row.topic()) } else { row.id().into() }),
            Ok(None) | Err(_) => Err(PublishError::Timeout),
        }
    }

    /// What came to an inbox, as a batch of one.
    pub(super) async fn answer(&self, answer: &Came, inbox: &str, clock: &Clock) -> Batch {
        if let Some(heard) = &answer.reply {
            // Whoever answered may go on without waiting for that.
            let _ = self.client.publish(heard.clone(), Vec::new().into()).await;
        }
        let decoded = answer.headers.as_ref().map(decode).unwrap_or_default();
        let id = decoded.id.map_or_else(|| format!("{inbox}/1"), Into::into);
        let message = Message {
            id: &id,
            topic: inbox,
            key: decoded.key.as_deref(),
            payload: Some(&answer.payload),
            headers: decoded.headers(),
            timestamp: decoded.timestamp.unwrap_or_else(|| clock.now()),
            attempt: 1,
        };
        let mut batch = Batch::default();
        batch.push(&message, Receipt { position: 1, token: &[] }, Facts::default());
        batch
    }
}

/// Whether the server says that nobody listens.
pub(super) fn is_nobody(word: &Came) -> bool {
    word.status.is_some_and(|status: StatusCode| status.as_u16() == NOBODY)
}
