//! Requests: as NATS knows them, with an inbox for the answer, and told at once where nobody listens.
//!
//! A stream of JetStream that takes the subject listens too, and says to the inbox that it has kept the request. That is no answer: what
//! somebody answers may come behind it.

use std::time::Duration;

use async_nats::{Message as Came, PublishError as Unsent, PublishErrorKind};
use futures::StreamExt;
use longshore_core::{Batch, Outbox, PublishError};
use serde_json::Value;

use super::Broker;
use super::publisher::denied;
use crate::nats::replies::is_nobody;

/// What a stream may say of a message that it has kept: `PubAck` of the server, <https://github.com/nats-io/nats-server/blob/main/server/stream.go>.
const KEPT: [&str; 7] = ["stream", "seq", "duplicate", "domain", "val", "batch", "count"];

impl Broker {
    /// Publishes the one message of `outbox` and waits for what comes to its inbox.
    pub(super) async fn ask(&self, outbox: &Outbox, timeout: Duration) -> Result<Batch, PublishError> {
        self.link.check().map_err(|error| PublishError::Unavailable(error.what))?;
        let row = outbox.row(0);
        let topic = row.topic();
        let payload = self.admit(row, outbox.delay(0))?;
        let (headers, _) = self.headers(row)?;
        let inbox = self.link.client.new_inbox();
        let mut answers = self.link.listen(&inbox).await?;
        let sent = self.link.client.publish_with_reply_and_headers(topic.to_owned(), inbox.clone(), headers, payload.into()).await;
        sent.map_err(|error| unsent(topic, &error))?;
        let answered = async {
            while let Some(answer) = answers.next().await {
                if !is_kept(&answer) {
                    return Some(answer);
                }
            }
            None
        };
        match tokio::time::timeout(timeout, answered).await {
            Ok(Some(answer)) if is_nobody(&answer) => Err(PublishError::Unavailable(format!("nobody listens to {topic:?}"))),
            Ok(Some(answer)) => Ok(self.link.answer(&answer, &inbox, &self.clock).await),
            _ if self.may_not_publish(topic) => Err(denied(topic)),
            Ok(None) => Err(PublishError::Unavailable("the client has ended".into())),
            Err(_) => Err(PublishError::Timeout),
        }
    }
}

/// Why a message could not be sent.
pub(super) fn unsent(topic: &str, error: &Unsent) -> PublishError {
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => PublishError::TooLarge(format!("topic {topic:?}: {error}")),
        PublishErrorKind::InvalidSubject => PublishError::Invalid(format!("topic {topic:?}: {error}")),
        PublishErrorKind::Send => PublishError::Unavailable(error.to_string()),
    }
}

/// Whether a stream says that it has kept the request, or why it has not, and nobody has answered it.
fn is_kept(answer: &Came) -> bool {
    answer.headers.is_none() && answer.reply.is_none() && says_kept(&answer.payload)
}

fn says_kept(payload: &[u8]) -> bool {
    let Ok(Value::Object(said)) = serde_json::from_slice(payload) else { return false };
    let refused = || said.get("error").is_some_and(|error| error.get("err_code").is_some_and(Value::is_u64));
    let known = said.keys().all(|key| KEPT.contains(&key.as_str()) || key == "error");
    let has_place = said.get("stream").is_some_and(Value::is_string) && said.get("seq").is_some_and(Value::is_u64);
    known && (has_place || refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stream_says_is_told_from_an_answer() {
        let check = |payload: &str, kept| assert_eq!(says_kept(payload.as_bytes()), kept, "{payload}");
        check(r#"{"stream":"ask","seq":2}"#, true);
        check(r#"{"stream":"ask","domain":"hub","seq":2,"duplicate":true}"#, true);
        check(r#"{"error":{"code":400,"err_code":10077,"description":"maximum messages exceeded"},"stream":"ask","seq":0}"#, true);
        check(r#"{"stream":"ask","seq":2,"price":42}"#, false);
        check(r#"{"stream":2,"seq":"ask"}"#, false);
        check(r#"{"error":"no such customer"}"#, false);
        check(r#"{"error":{"code":404}}"#, false);
        check("42", false);
        check("", false);
    }
}
