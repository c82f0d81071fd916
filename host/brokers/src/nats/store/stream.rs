//! The stream behind a bucket: looked for on first use, made where it is missing and that is wanted, and held to what we rely on.

use async_nats::datetime::parse_rfc3339;
use longshore_core::StoreError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Server;
use super::ask::told;
use crate::declare::Declare;
use crate::nats::jetstream::api::{self, Said};

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Values,
    /// Whose leases are removed by their sequence.
    Locks,
}

/// A stream, as far as we read it.
#[derive(Deserialize)]
pub(super) struct Info {
    config: Value,
    /// The server's time.
    #[serde(default)]
    ts: String,
}

impl Info {
    /// The server's time, nanoseconds since the Unix epoch.
    pub(super) fn time(&self) -> Result<u64, StoreError> {
        let at = parse_rfc3339(&self.ts).ok().and_then(|at| u64::try_from(at.unix_timestamp_nanos()).ok());
        at.ok_or_else(|| StoreError::Other(format!("the server's time {:?} cannot be read", self.ts)))
    }

    /// Whether it may be read without asking its leader: there is no other copy, which could be behind.
    pub(super) fn is_alone(&self) -> bool {
        self.config["num_replicas"] == 1 && self.config["allow_direct"] == true
    }
}

impl Server {
    /// The stream of a bucket, made where it is missing and that is wanted.
    pub(super) async fn stream(&self, bucket: &str, purpose: Purpose) -> Result<Info, StoreError> {
        let stream = format!("KV_{bucket}");
        let info = match self.look(&stream).await? {
            Some(info) => info,
            None if self.declare == Declare::Create => self.make(&stream, bucket, purpose).await?,
            None => {
                let help = format!("make it, or set declare = \"create\"; it is {}", wanted(&stream, bucket, self.replicas, purpose));
                return Err(StoreError::Other(format!(
                    "there is no bucket {bucket:?} on NATS, and `declare` does not let us make one: {help}"
                )));
            }
        };
        match unfit(&info.config, purpose) {
            None => Ok(info),
            Some(why) => Err(StoreError::Other(format!("the stream {stream:?} {why}"))),
        }
    }

    async fn look(&self, stream: &str) -> Result<Option<Info>, StoreError> {
        let subject = format!("STREAM.INFO.{stream}");
        let whole = format!("{}.{subject}", self.js.prefix);
        let answer = self.answered(&whole, api::ask(&self.js, subject, &json!({}))).await?;
        api::there(answer).map_err(told)
    }

    async fn make(&self, stream: &str, bucket: &str, purpose: Purpose) -> Result<Info, StoreError> {
        let subject = format!("STREAM.CREATE.{stream}");
        let whole = format!("{}.{subject}", self.js.prefix);
        match self.answered(&whole, api::ask(&self.js, subject, &wanted(stream, bucket, self.replicas, purpose))).await? {
            Ok(made) => Ok(made),
            // Somebody else was faster, who wants other replicas.
            Err(Said::Refused(words)) => self.look(stream).await?.ok_or(StoreError::Other(words)),
            Err(said) => Err(told(said)),
        }
    }
}

/// A bucket's stream as `nats kv add` makes it (ADR-8), with a time to live for each message (ADR-43); that of locks lets messages be deleted.
fn wanted(stream: &str, bucket: &str, replicas: u8, purpose: Purpose) -> Value {
    json!({
        "name": stream,
        "subjects": [format!("$KV.{bucket}.>")],
        "max_msgs_per_subject": 1,
        "discard": "new",
        "storage": "file",
        "num_replicas": replicas,
        "allow_rollup_hdrs": true,
        "deny_delete": purpose == Purpose::Values,
        "allow_direct": true,
        "allow_msg_ttl": true,
    })
}

/// Why a stream cannot be a bucket.
fn unfit(config: &Value, purpose: Purpose) -> Option<&'static str> {
    let has = |key: &str| config[key] == true;
    if config["max_msgs_per_subject"] != 1 {
        Some("keeps more than the last value of a key: make it with a history of 1 (max_msgs_per_subject)")
    } else if !has("allow_msg_ttl") {
        Some("has no time to live for each key: `nats stream edit --allow-msg-ttl` (allow_msg_ttl)")
    } else if !has("allow_rollup_hdrs") {
        Some("does not let keys be purged: it needs allow_rollup_hdrs")
    } else if purpose == Purpose::Locks && has("deny_delete") {
        Some("does not let a lease be removed: make it without deny_delete, or let this host make it")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_make_fits_and_what_lacks_something_is_told() {
        let good = wanted("KV_b", "b", 1, Purpose::Values);
        assert_eq!(unfit(&good, Purpose::Values), None);
        assert!(unfit(&good, Purpose::Locks).is_some_and(|why| why.contains("deny_delete")));
        assert_eq!(unfit(&wanted("KV_b", "b", 1, Purpose::Locks), Purpose::Locks), None);
        for (key, value) in [("max_msgs_per_subject", json!(5)), ("allow_msg_ttl", Value::Null), ("allow_rollup_hdrs", json!(false))] {
            let mut bad = good.clone();
            bad[key] = value;
            assert!(unfit(&bad, Purpose::Values).is_some_and(|why| why.contains(key)), "{key}");
        }
    }
}
