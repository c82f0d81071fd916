//! Looking for keys: a consumer of the moment brings the headers of a bucket's messages, without their values, from a sequence on.
//!
//! The cursor is that sequence. A key that is written meanwhile moves to the end of the stream, which is still to come; so it may be met twice
//! and is never missed.

use std::time::Duration;

use async_nats::StatusCode;
use async_nats::jetstream::Message;
use futures::StreamExt;
use longshore_core::{KeyPage, KeyPattern, StoreError};
use serde_json::json;

use super::ask::told;
use super::bucket::OnServer;
use super::entry::Entry;
use super::keys;
use crate::nats::jetstream::api;

/// Keys of the stream that one page looks at.
const STEP: u64 = 1000;
/// After that the server removes a consumer whose page was given up.
const FORGOTTEN: Duration = Duration::from_secs(10);
/// How long the server waits for more than it has: what it counted may be removed meanwhile.
const EXPIRES: Duration = Duration::from_secs(1);
/// Status of a request that waited for so long.
const OVER: StatusCode = StatusCode::TIMEOUT;

/// What a page of the stream brought.
struct Step {
    /// Keys that hold something, unless its time is over.
    entries: Vec<(String, Entry)>,
    /// Where the next page begins.
    next: Option<u64>,
}

impl OnServer {
    pub(super) async fn page(&self, pattern: &KeyPattern, cursor: Option<&str>) -> Result<KeyPage, StoreError> {
        let from = cursor.map_or(Ok(1), |cursor| position(cursor).ok_or_else(|| no_cursor(cursor)))?;
        self.known().await?;
        let server = &self.server;
        let inbox = server.link.client.new_inbox();
        let consumer = format!("longshore-keys-{}", inbox.rsplit('.').next().unwrap_or_default());
        let config = json!({
            "name": consumer,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": from,
            "ack_policy": "none",
            "headers_only": true,
            "mem_storage": true,
            "num_replicas": 1,
            "inactive_threshold": nanos(FORGOTTEN),
        });
        let making = format!("{}.CONSUMER.CREATE.{}.{consumer}", server.js.prefix, self.stream);
        let made = server.answered(&making, api::put_consumer(&server.js, &self.stream, &consumer, &config)).await?;
        let waiting = match api::there(made).map_err(told)? {
            Some(made) => made.num_pending,
            // The stream is gone, and its keys with it; whoever writes next makes it again.
            None => return Ok(KeyPage::default()),
        };
        let step = if waiting == 0 { Ok(Step { entries: Vec::new(), next: None }) } else { self.pull(&consumer, inbox, from).await };
        let removing = format!("{}.CONSUMER.DELETE.{}.{consumer}", server.js.prefix, self.stream);
        // Where that fails, the server removes it soon.
        let _ = server.answered(&removing, api::delete_consumer(&server.js, &self.stream, &consumer)).await;
        let Step { entries, next } = step?;
        let now = if entries.iter().any(|(_, entry)| entry.has_time()) { self.now().await? } else { 0 };
        let holds = |(key, entry): (String, Entry)| entry.at(now).value.is_some().then_some(key);
        let keys = entries.into_iter().filter(|(key, _)| pattern.matches(key)).filter_map(holds).collect();
        Ok(KeyPage { keys, next: next.map(|next| next.to_string()) })
    }

    /// What a consumer has, a page of it at most.
    async fn pull(&self, consumer: &str, inbox: String, from: u64) -> Result<Step, StoreError> {
        let server = &self.server;
        let trouble = |error: &dyn std::error::Error| StoreError::Unavailable(error.to_string());
        let mut answers = server.link.client.subscribe(inbox.clone()).await.map_err(|error| trouble(&error))?;
        let asked = format!("{}.CONSUMER.MSG.NEXT.{}.{consumer}", server.js.prefix, self.stream);
        let request = json!({ "batch": STEP, "expires": nanos(EXPIRES) }).to_string();
        server.link.client.publish_with_reply(asked.clone(), inbox, request.into()).await.map_err(|error| trouble(&error))?;
        let start = self.start();
        let mut step = Step { entries: Vec::new(), next: Some(from) };
        for _ in 0..STEP {
            let came = tokio::time::timeout(server.link.patience, answers.next());
            let Some(message) = server.answered(&asked, came).await?.map_err(|_| StoreError::Timeout)? else { break };
            match message.status {
                None => {}
                Some(OVER) => break,
                Some(status) => {
                    let words = message.description.unwrap_or_default();
                    return Err(StoreError::Unavailable(format!("NATS ends a search for keys with {status} {words}")));
                }
            }
            let message = Message { message, context: server.js.context.clone() };
            let info = message.info().map_err(|error| StoreError::Other(format!("NATS sends what is no message of a stream: {error}")))?;
            let kept = u64::try_from(info.published.unix_timestamp_nanos()).unwrap_or(0);
            let entry =
                Entry::of(info.stream_sequence, message.headers.as_ref().unwrap_or(&async_nats::HeaderMap::new()), kept, Vec::new());
            step.next = (info.pending > 0).then_some(info.stream_sequence + 1);
            // Names that are no key's are somebody else's.
            let key = message.subject.strip_prefix(&start).and_then(keys::decode);
            step.entries.extend(key.map(|key| (key, entry)));
            if step.next.is_none() {
                break;
            }
        }
        Ok(step)
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn position(cursor: &str) -> Option<u64> {
    cursor.parse().ok().filter(|from| *from > 0)
}

fn no_cursor(cursor: &str) -> StoreError {
    StoreError::Invalid(format!("{cursor:?} is no cursor that a page of keys gave"))
}
