//! The consumers of a group: made, changed to fit, or held to what is asked.

use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use longshore_core::{BrokerError, Start};
use serde_json::{Value, json};

use super::api::{self, Consumer, Said, Stream};
use super::streams::Broker;
use crate::declare::Declare;
use crate::nats::names::covers;

/// After so long without a pull, the server removes the consumer of a broadcast whose host died.
const INACTIVE: Duration = Duration::from_secs(600);

/// A consumer that is to be there.
pub(super) struct Wanted<'a> {
    pub(super) stream: &'a str,
    pub(super) name: &'a str,
    /// Whether it stays when nobody reads with it.
    pub(super) durable: bool,
    /// Empty: everything.
    pub(super) filters: Vec<String>,
    pub(super) start: &'a Start,
    pub(super) lease: Duration,
    pub(super) declare: Declare,
}

/// The filters of a consumer on a stream that takes `subjects`, for what a subscription wants; none where that is everything.
pub(super) fn filters(subjects: &[&str], wanted: &[String]) -> Vec<String> {
    if !subjects.is_empty() && subjects.iter().all(|subject| wanted.iter().any(|filter| covers(filter, subject))) {
        return Vec::new();
    }
    let mut filters: Vec<String> = Vec::new();
    for filter in wanted {
        let within = subjects.iter().filter(|subject| covers(filter, subject) && *subject != filter).map(|subject| (*subject).to_owned());
        let within: Vec<String> = within.collect();
        if within.is_empty() { filters.push(filter.clone()) } else { filters.extend(within) }
    }
    filters.sort();
    filters.dedup();
    // One that another covers would overlap, which the server refuses.
    let covered = |filter: &String| filters.iter().any(|other| other != filter && covers(other, filter));
    filters.iter().filter(|filter| !covered(filter)).cloned().collect()
}

impl Broker {
    /// Makes a consumer or holds the one that is there to what is wanted; answers its lease.
    pub(super) async fn ensure_consumer(&self, wanted: &Wanted<'_>) -> Result<Duration, BrokerError> {
        let about = |said: Said| said.about(format!("consumer {:?} of stream {:?}", wanted.name, wanted.stream));
        match api::consumer(&self.js, wanted.stream, wanted.name).await.map_err(about)? {
            Some(consumer) => self.fit(&consumer, wanted).await,
            None => self.make_consumer(wanted).await,
        }
    }

    async fn make_consumer(&self, wanted: &Wanted<'_>) -> Result<Duration, BrokerError> {
        let Wanted { stream, name, .. } = wanted;
        let what = format!("there is no consumer {name:?} on stream {stream:?}");
        if wanted.declare != Declare::Create {
            return Err(BrokerError::give_up(format!(
                "{what}, and `declare` does not let us make it; make it, or set declare = \"create\""
            )));
        }
        let known = if wanted.durable { self.known_start(stream, name).await? } else { None };
        let start = match known {
            Some(policy) => policy,
            None => policy(wanted.start, &what)?,
        };
        let mut config = json!({
            "name": name,
            "ack_policy": "explicit",
            "ack_wait": nanos(wanted.lease),
            "max_deliver": -1,
            "max_ack_pending": -1,
            "replay_policy": "instant",
        });
        let start = serde_json::to_value(start).unwrap_or_default();
        match start {
            Value::Object(keys) => keys.into_iter().for_each(|(key, value)| config[key] = value),
            simple => config["deliver_policy"] = simple,
        }
        set_filters(&mut config, &wanted.filters);
        if wanted.durable {
            config["durable_name"] = json!(name);
        } else {
            config["inactive_threshold"] = json!(nanos(INACTIVE));
        }
        let made = api::put_consumer(&self.js, stream, name, &config).await;
        made.map_err(|said| said.about(format!("consumer {name:?} of stream {stream:?} cannot be made")))?;
        Ok(wanted.lease)
    }

    /// Where a group that we have read with goes on, when its consumer is gone.
    async fn known_start(&self, stream: &str, name: &str) -> Result<Option<DeliverPolicy>, BrokerError> {
        let Some((made, floor)) = self.floor(stream, name) else { return Ok(None) };
        let found: Option<Stream> = api::stream(&self.js, stream, None).await.map_err(|said| said.about(format!("stream {stream:?}")))?;
        let Some(found) = found.filter(|stream| stream.made() == made) else {
            tracing::error!(stream, consumer = name, floor, "the stream was deleted while it was used, and what it had is gone");
            return Ok(Some(DeliverPolicy::All));
        };
        tracing::warn!(stream, consumer = name, floor, "the consumer was deleted while it was used, and is made again");
        let known = floor <= found.state.last_seq;
        Ok(Some(if known { DeliverPolicy::ByStartSequence { start_sequence: floor + 1 } } else { DeliverPolicy::All }))
    }

    /// Holds a consumer that is there to what is wanted.
    async fn fit(&self, consumer: &Consumer, wanted: &Wanted<'_>) -> Result<Duration, BrokerError> {
        let Wanted { stream, name, .. } = wanted;
        let refuse = |what: &str| Err(BrokerError::give_up(format!("consumer {name:?} of stream {stream:?} {what}")));
        let Fit { lease, changed, differences } = match compare(consumer, wanted) {
            Ok(fit) => fit,
            Err(what) => return refuse(&what),
        };
        match wanted.declare {
            _ if differences.is_empty() => Ok(lease),
            Declare::Create => {
                let put = api::put_consumer(&self.js, stream, name, &changed).await;
                put.map_err(|said| said.about(format!("consumer {name:?} of stream {stream:?} cannot be changed")))?;
                Ok(wanted.lease)
            }
            Declare::Passive => refuse(&format!("{}; change it, or set declare = \"create\"", differences.join("; "))),
            Declare::None => {
                tracing::warn!(stream, consumer = name, "the consumer {}", differences.join("; "));
                Ok(lease)
            }
        }
    }
}

/// How a consumer that is there fits what is wanted.
pub(super) struct Fit {
    /// Its lease as it is.
    pub(super) lease: Duration,
    /// Its configuration as it should be.
    changed: Value,
    /// What is different now, each as a fragment after its name.
    pub(super) differences: Vec<String>,
}

/// An error says what cannot be changed.
pub(super) fn compare(consumer: &Consumer, wanted: &Wanted<'_>) -> Result<Fit, String> {
    let config = &consumer.config;
    if config["deliver_subject"].as_str().is_some_and(|subject| !subject.is_empty()) {
        return Err("pushes, and Longshore pulls; take another `group`".into());
    }
    if config["ack_policy"].as_str() != Some("explicit") {
        return Err("does not acknowledge one by one; delete it, or take another `group`".into());
    }
    let lease = Duration::from_nanos(config["ack_wait"].as_u64().unwrap_or(nanos(wanted.lease)));
    let mut changed = config.clone();
    let mut differences = Vec::new();
    if config["max_deliver"].as_i64().is_some_and(|most| most > 0) {
        changed["max_deliver"] = json!(-1);
        differences.push(format!("gives up after max-deliver = {}, and the host counts attempts", config["max_deliver"]));
    }
    if lease != wanted.lease {
        changed["ack_wait"] = json!(nanos(wanted.lease));
        differences.push(format!("has an ack wait of {lease:?}, and `lease` is {:?}", wanted.lease));
    }
    let (had, want) = (consumer.filters(), &wanted.filters);
    if had != *want {
        let what = format!("takes {}, and the subscription wants {}", told(&had), told(want));
        if !widens(&had, want) {
            let how = "give each subscription a `group` of its own, list all topics in one, or delete the consumer";
            return Err(format!("{what}: {how}"));
        }
        set_filters(&mut changed, want);
        differences.push(what);
    }
    Ok(Fit { lease, changed, differences })
}

/// Whether everything that was taken is taken still.
fn widens(had: &[String], wanted: &[String]) -> bool {
    wanted.is_empty() || (!had.is_empty() && had.iter().all(|had| wanted.iter().any(|wanted| covers(wanted, had))))
}

fn told(filters: &[String]) -> String {
    if filters.is_empty() { "everything".into() } else { filters.join(", ") }
}

fn set_filters(config: &mut Value, filters: &[String]) {
    if let Some(config) = config.as_object_mut() {
        config.remove("filter_subject");
        config.remove("filter_subjects");
    }
    match filters {
        [] => {}
        [one] => config["filter_subject"] = json!(one),
        many => config["filter_subjects"] = json!(many),
    }
}

/// Where a consumer begins, as the server says it.
pub(super) fn policy(start: &Start, what: &str) -> Result<DeliverPolicy, BrokerError> {
    let refuse = |why: String| Err(BrokerError::give_up(why));
    match start {
        Start::Earliest => Ok(DeliverPolicy::All),
        Start::Latest => Ok(DeliverPolicy::New),
        Start::None => refuse(format!("{what}, and start = \"none\" means that it must be there already")),
        Start::Time(millis) => match async_nats::datetime::from_nanos(i128::from(*millis) * 1_000_000) {
            Ok(start_time) => Ok(DeliverPolicy::ByStartTime { start_time }),
            Err(_) => refuse(format!("start: {millis} ms is no time")),
        },
        Start::Position(text) => match text.parse() {
            Ok(start_sequence) => Ok(DeliverPolicy::ByStartSequence { start_sequence }),
            Err(_) => refuse(format!(
                "start = {text:?} is no position of a stream: write \"earliest\", \"latest\", \"none\", a sequence number, or a time"
            )),
        },
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_say_what_is_wanted_and_no_more() {
        let check = |subjects: &[&str], wanted: &[&str], expected: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|f| (*f).into()).collect();
            assert_eq!(filters(subjects, &wanted), expected, "{subjects:?} {wanted:?}");
        };
        check(&["a"], &["a"], &[]);
        check(&["p.early"], &["p.>"], &[]);
        check(&["orders.>"], &["orders.created"], &["orders.created"]);
        check(&["orders.>"], &["orders.b", "orders.a", "orders.a"], &["orders.a", "orders.b"]);
        check(&["orders.*", "bills.*"], &["orders.*"], &["orders.*"]);
        check(&["orders.eu", "bills.*"], &["orders.*"], &["orders.eu"]);
        check(&["orders.>"], &["orders.*", "orders.a"], &["orders.*"]);
    }

    #[test]
    fn a_subscription_that_wants_more_widens_its_consumer() {
        let check = |had: &[&str], wanted: &[&str]| {
            let list = |of: &[&str]| of.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>();
            widens(&list(had), &list(wanted))
        };
        assert!(check(&["a"], &["a", "b"]) && check(&["a"], &[]) && check(&["a.b"], &["a.*"]));
        assert!(!check(&["a"], &["b"]) && !check(&[], &["a"]) && !check(&["a", "b"], &["a"]));
    }
}
