//! Requests: kept by the topic's stream like any message, with an inbox of core NATS in a header for the answer.
//!
//! A stream confirms what is published at the message's own reply address, so that cannot be where the answer goes.

use std::time::Duration;

use futures::StreamExt;
use longshore_core::row::{self, Row};
use longshore_core::{Batch, Message, Outbox, PublishError, headers};

use super::streams::Broker;

impl Broker {
    /// Publishes the one message of `outbox` and waits for what comes to its inbox.
    pub(super) async fn ask(&self, outbox: &Outbox, timeout: Duration) -> Result<Batch, PublishError> {
        let topic = outbox.row(0).topic();
        // Who answers has a stream to read from. A request makes none: it would keep requests that nobody ever reads.
        let streams = self.streams_of(topic).await.map_err(|said| said.of_publish(topic))?;
        if streams.is_empty() {
            return Err(PublishError::Unavailable(format!("no stream takes {topic:?}, so nobody reads requests there")));
        }
        let inbox = self.link.client.new_inbox();
        let mut answers = self.link.listen(&inbox).await?;
        let message = outbox.get(0);
        let kept = message.headers.clone().filter(|(name, _)| *name != headers::REPLY_TO);
        let with_inbox = kept.chain(std::iter::once((headers::REPLY_TO, inbox.as_bytes())));
        let Message { id, topic, key, payload, timestamp, attempt, .. } = message;
        let mut bytes = Vec::new();
        row::append(&mut bytes, &Message { id, topic, key, payload, headers: with_inbox, timestamp, attempt });
        self.publish_rows(&[(Row::at(&bytes, 0).expect("it was just written"), outbox.delay(0))]).await.remove(0)?;
        let Ok(Some(answer)) = tokio::time::timeout(timeout, answers.next()).await else { return Err(PublishError::Timeout) };
        Ok(self.link.answer(&answer, &inbox, &self.clock).await)
    }
}
