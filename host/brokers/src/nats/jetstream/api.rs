//! Questions to JetStream's API, and what its answers mean. Subjects and bodies are those of the server's reference
//! (docs.nats.io, "NATS JetStream API reference"); configurations stay JSON, so that an update keeps what newer servers know and we do not.

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{ContextBuilder, RequestErrorKind};
use async_nats::jetstream::response::Response;
use longshore_core::{BrokerError, PublishError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::nats::config::Config;
use crate::nats::heard::Heard;
use crate::nats::link::Link;

/// Codes of the server for what is not there: consumer, message (by number, by subject), stream.
const MISSING: [u64; 4] = [10014, 10043, 10037, 10059];

/// A message could not be deleted; the server says by its words alone that there is none, or none any more.
const NOT_DELETED: u64 = 10057;
const NONE_THERE: [&str; 2] = ["no message found", "deleted message"];

/// Why there is no good answer.
#[derive(Debug)]
pub(in crate::nats) enum Said {
    /// What was asked about is not there.
    Missing(String),
    /// The server refuses, for good.
    Refused(String),
    /// The user may not ask.
    Denied(String),
    /// No answer came, or the server cannot now.
    Trouble(String),
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Said::Missing(words) | Said::Refused(words) | Said::Denied(words) | Said::Trouble(words) => f.write_str(words),
        }
    }
}

impl Said {
    /// As an error about `what`.
    pub(super) fn about(self, what: impl fmt::Display) -> BrokerError {
        match self {
            Said::Missing(words) | Said::Refused(words) | Said::Denied(words) => BrokerError::give_up(format!("{what}: {words}")),
            Said::Trouble(words) => BrokerError::retry(format!("{what}: {words}")),
        }
    }

    /// As an error of a publish to `topic`.
    pub(super) fn of_publish(self, topic: &str) -> PublishError {
        match self {
            Said::Missing(words) | Said::Refused(words) => PublishError::Invalid(format!("topic {topic:?}: {words}")),
            Said::Denied(words) => PublishError::Denied(format!("topic {topic:?}: {words}")),
            Said::Trouble(words) => PublishError::Unavailable(format!("topic {topic:?}: {words}")),
        }
    }
}

/// JetStream, and what of it the user may not use.
pub(in crate::nats) struct Api {
    pub(in crate::nats) context: Context,
    /// What its subjects begin with.
    pub(in crate::nats) prefix: String,
    pub(super) heard: Arc<Heard>,
}

impl Api {
    /// JetStream as `link` reaches it, if it answers; of a server that has what came with `oldest`. `instead` is what else one could do.
    pub(in crate::nats) async fn reach(link: &Link, config: &Config, oldest: (i64, i64, i64), instead: &str) -> Result<Self, BrokerError> {
        let server = link.client.server_info();
        let (major, minor, patch) = oldest;
        if !link.client.is_server_compatible(major, minor, patch) {
            let what = format!("NATS {} is too old: JetStream needs {major}.{minor} or newer here", server.version);
            return Err(BrokerError::give_up(what));
        }
        let prefix = config.domain.as_ref().map_or_else(|| "$JS.API".into(), |domain| format!("$JS.{domain}.API"));
        // Each publish has a bound of its own. One for all of them would let those wait for each other that have sent half of theirs.
        let builder = ContextBuilder::new().api_prefix(prefix.clone()).timeout(config.request_timeout.get());
        let context = builder.max_ack_inflight(Semaphore::MAX_PERMITS).build(link.client.clone());
        let js = Api { context, prefix, heard: link.heard.clone() };
        let off = format!("JetStream is off on this server, or for this account; start the server with `-js`{instead}");
        if !server.jetstream && config.domain.is_none() {
            return Err(BrokerError::give_up(off));
        }
        match ask::<Value>(&js, "INFO".into(), &json!({})).await {
            Ok(_) => Ok(js),
            Err(Said::Trouble(words)) => Err(BrokerError::reconnect(words)),
            Err(Said::Denied(words)) => Err(BrokerError::give_up(words)),
            Err(said) => Err(BrokerError::give_up(format!("{said}: {off}"))),
        }
    }
}

impl Deref for Api {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

/// Asks `subject` of the API.
pub(in crate::nats) async fn ask<T: DeserializeOwned>(js: &Api, subject: String, body: &Value) -> Result<T, Said> {
    let whole = format!("{}.{subject}", js.prefix);
    let answer = tokio::select! {
        answer = js.request::<_, _, Response<Value>>(subject, body) => answer,
        why = js.heard.until_silent(&whole) => return Err(Said::Denied(why)),
    };
    let answer = answer.map_err(|error| match error.kind() {
        RequestErrorKind::NoResponders => Said::Trouble("JetStream does not answer: it is off, or the server is starting".into()),
        RequestErrorKind::InvalidSubject => Said::Refused(error.to_string()),
        _ => Said::Trouble(crate::nats::link::with_causes(&error)),
    })?;
    match answer {
        Response::Ok(value) => {
            serde_json::from_value(value).map_err(|error| Said::Trouble(format!("an answer that cannot be read: {error}")))
        }
        Response::Err { error } => {
            let (code, words) = (error.error_code().0, error.to_string());
            Err(match error.code() {
                _ if MISSING.contains(&code) => Said::Missing(words),
                _ if code == NOT_DELETED && NONE_THERE.iter().any(|none| words.contains(none)) => Said::Missing(words),
                // JetStream is not enabled, for the account or at all.
                _ if code == 10039 || code == 10076 => Said::Refused(words),
                500.. => Said::Trouble(words),
                _ => Said::Refused(words),
            })
        }
    }
}

/// `None` for what is not there.
pub(in crate::nats) fn there<T>(answer: Result<T, Said>) -> Result<Option<T>, Said> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Said::Missing(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

/// A stream, as far as we read it.
#[derive(Debug, Deserialize)]
pub(super) struct Stream {
    pub(super) created: String,
    pub(super) config: Value,
    pub(super) state: StreamState,
}

#[derive(Debug, Deserialize)]
pub(super) struct StreamState {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    /// Messages of each subject, where they were asked for.
    pub(super) subjects: Option<HashMap<String, u64>>,
}

impl Stream {
    pub(super) fn name(&self) -> &str {
        self.config["name"].as_str().unwrap_or_default()
    }

    /// What tells it from one of the same name that was deleted, in which the same sequences meant other messages: when it was made, in
    /// milliseconds since the Unix epoch, hexadecimal.
    pub(super) fn made(&self) -> String {
        let at = async_nats::datetime::parse_rfc3339(&self.created).map_or(0, |at| at.unix_timestamp_nanos() / 1_000_000);
        format!("{at:x}")
    }

    /// What ids of its messages begin with that have none of their own.
    pub(super) fn ids(&self) -> String {
        format!("{}/{}", self.name(), self.made())
    }

    /// What it takes.
    pub(super) fn subjects(&self) -> Vec<&str> {
        let list = self.config["subjects"].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(Value::as_str).collect()
    }
}

/// A consumer, as far as we read it.
#[derive(Debug, Deserialize)]
pub(in crate::nats) struct Consumer {
    pub(super) name: String,
    pub(super) created: String,
    pub(super) config: Value,
    pub(super) ack_floor: Sequences,
    pub(super) delivered: Sequences,
    pub(super) num_ack_pending: u64,
    pub(in crate::nats) num_pending: u64,
}

#[derive(Debug, Deserialize)]
pub(in crate::nats) struct Sequences {
    pub(super) stream_seq: u64,
}

impl Consumer {
    /// What it filters on; empty where it takes everything.
    pub(super) fn filters(&self) -> Vec<String> {
        let one = self.config["filter_subject"].as_str().filter(|f| !f.is_empty());
        let many = self.config["filter_subjects"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut filters: Vec<String> = one.into_iter().chain(many.iter().filter_map(Value::as_str)).map(Into::into).collect();
        filters.sort();
        filters
    }

    pub(super) fn is_durable(&self) -> bool {
        self.config["durable_name"].as_str().is_some_and(|name| !name.is_empty())
    }
}

/// All pages of a list.
async fn all<T: DeserializeOwned>(js: &Api, subject: &str, field: &str) -> Result<Vec<T>, Said> {
    let mut list: Vec<T> = Vec::new();
    loop {
        let mut page: Value = ask(js, subject.into(), &json!({ "offset": list.len() })).await?;
        let total = page["total"].as_u64().unwrap_or(0);
        let items: Option<Vec<T>> = serde_json::from_value(page[field].take()).map_err(|error| Said::Trouble(error.to_string()))?;
        let items = items.unwrap_or_default();
        let over = items.is_empty();
        list.extend(items);
        if over || list.len() as u64 >= total {
            return Ok(list);
        }
    }
}

pub(super) async fn streams(js: &Api) -> Result<Vec<Stream>, Said> {
    all(js, "STREAM.LIST", "streams").await
}

pub(super) async fn consumers(js: &Api, stream: &str) -> Result<Vec<Consumer>, Said> {
    all(js, &format!("CONSUMER.LIST.{stream}"), "consumers").await
}

/// Names of the streams that take something of what `filter` means.
pub(super) async fn streams_of(js: &Api, filter: &str) -> Result<Vec<String>, Said> {
    #[derive(Deserialize)]
    struct Names {
        streams: Option<Vec<String>>,
    }
    let names: Names = ask(js, "STREAM.NAMES".into(), &json!({ "subject": filter })).await?;
    Ok(names.streams.unwrap_or_default())
}

/// A stream with the messages of each subject that `filter` means.
pub(super) async fn stream(js: &Api, name: &str, filter: Option<&str>) -> Result<Option<Stream>, Said> {
    let body = filter.map_or(json!({}), |filter| json!({ "subjects_filter": filter }));
    there(ask(js, format!("STREAM.INFO.{name}"), &body).await)
}

pub(super) async fn consumer(js: &Api, stream: &str, name: &str) -> Result<Option<Consumer>, Said> {
    there(ask(js, format!("CONSUMER.INFO.{stream}.{name}"), &json!({})).await)
}

/// Makes a consumer or changes it.
pub(in crate::nats) async fn put_consumer(js: &Api, stream: &str, name: &str, config: &Value) -> Result<Consumer, Said> {
    ask(js, format!("CONSUMER.CREATE.{stream}.{name}"), &json!({ "stream_name": stream, "config": config })).await
}

/// Says whether it was there.
pub(in crate::nats) async fn delete_consumer(js: &Api, stream: &str, name: &str) -> Result<bool, Said> {
    Ok(there(ask::<Value>(js, format!("CONSUMER.DELETE.{stream}.{name}"), &json!({})).await)?.is_some())
}

/// Removes messages of a subject; says how many there were.
pub(super) async fn purge(js: &Api, stream: &str, filter: &str) -> Result<u64, Said> {
    let answer: Value = ask(js, format!("STREAM.PURGE.{stream}"), &json!({ "filter": filter })).await?;
    Ok(answer["purged"].as_u64().unwrap_or(0))
}

/// Removes one message; says whether it was there.
pub(super) async fn delete_message(js: &Api, stream: &str, sequence: u64) -> Result<bool, Said> {
    let body = json!({ "seq": sequence, "no_erase": true });
    Ok(there(ask::<Value>(js, format!("STREAM.MSG.DELETE.{stream}"), &body).await)?.is_some())
}
