//! Retries: a copy of the message in a stream of ours, with what the host counts in its headers. Only once the copy is kept is the original
//! acknowledged; so a retry, its attempt and its time outlive host and server, and belong to no consumer's memory.
//!
//! Subjects are `longshore-retries.<stream>.<group>.<made>.<sequence>`, by when the stream was made, as one that is made anew counts from 1
//! again: what the old one had has copies still, which are no messages of the new one. One consumer for each stream and group, and a message goes when that consumer
//! acknowledges it. A redriven dead letter is such a copy too. A copy that is not due yet is sent back with a delay by whoever gets it.

use std::collections::{HashMap, HashSet};

use async_nats::HeaderMap;
use async_nats::header::HeaderValue;
use async_nats::jetstream::message::StreamMessage;
use longshore_core::{BrokerError, Waiting};
use serde_json::{Value, json};

use super::api::{self, Said};
use super::messages;
use super::streams::Broker;
use crate::declare::Declare;
use crate::nats::headers::{JOURNEY, decode};

/// The stream of all retries of an account.
pub(super) const STREAM: &str = "longshore-retries";
/// Positions of redriven messages begin here: above every position of a stream, and below what guests' numbers can hold.
pub(super) const REDRIVEN: u64 = 1 << 52;

/// What a copy knows of its message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Journey {
    pub(super) topic: String,
    /// When the stream was made in which the position counts.
    pub(super) made: String,
    /// 0: redriven, and not yet handed over.
    pub(super) position: u64,
    pub(super) attempt: u32,
    /// How often it was handed over before this copy.
    pub(super) deliveries: u32,
    pub(super) first_failed_at: u64,
    pub(super) redrives: u32,
    /// Milliseconds since the Unix epoch; 0 = at once.
    pub(super) not_before: u64,
}

impl Journey {
    /// Into the headers of a copy.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(name("topic").as_str(), self.topic.as_str());
        headers.insert(name("made").as_str(), self.made.as_str());
        let numbers = [
            ("position", self.position),
            ("attempt", self.attempt.into()),
            ("deliveries", self.deliveries.into()),
            ("first-failed-at", self.first_failed_at),
            ("redrives", self.redrives.into()),
            ("not-before", self.not_before),
        ];
        for (what, number) in numbers {
            headers.insert(name(what).as_str(), HeaderValue::from(number));
        }
    }

    /// From the headers of a message; `None` where it is no copy.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |what: &str| headers.get(name(what).as_str()).map(HeaderValue::as_str);
        let number = |what: &str| text(what).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let small = |what: &str| u32::try_from(number(what)).unwrap_or(u32::MAX);
        Some(Journey {
            topic: text("topic")?.into(),
            made: text("made").unwrap_or_default().into(),
            position: number("position"),
            attempt: small("attempt").max(1),
            deliveries: small("deliveries"),
            first_failed_at: number("first-failed-at"),
            redrives: small("redrives"),
            not_before: number("not-before"),
        })
    }

    /// Its position in a lane of the stream that was made then, as the copy at that sequence.
    pub(super) fn position_at(&self, made: &str, sequence: u64) -> u64 {
        if self.position > 0 && self.made == made { self.position } else { REDRIVEN + sequence }
    }
}

fn name(what: &str) -> String {
    format!("{JOURNEY}{what}")
}

/// Where the copies of a group's message go. `what` names the message.
pub(super) fn subject(stream: &str, group: &str, what: impl std::fmt::Display) -> String {
    format!("{STREAM}.{stream}.{group}.{what}")
}

/// All copies of a group.
pub(super) fn filter(stream: &str, group: &str) -> String {
    subject(stream, group, ">")
}

/// The group's consumer of its copies.
pub(super) fn consumer(stream: &str, group: &str) -> String {
    format!("{group}@{stream}")
}

impl Broker {
    /// Makes the stream of retries where it is missing.
    pub(super) async fn ensure_retries(&self, declare: Declare) -> Result<(), BrokerError> {
        let about = |said: Said| said.about(format!("stream {STREAM:?}, which keeps retries"));
        if api::stream(&self.js, STREAM, None).await.map_err(about)?.is_some() {
            return Ok(());
        }
        let config = json!({
            "name": STREAM,
            "description": "Messages that wait to be tried again",
            "subjects": [format!("{STREAM}.>")],
            "retention": "workqueue",
            "storage": "file",
            "num_replicas": self.replicas,
            "allow_direct": true,
        });
        if declare != Declare::Create {
            let what =
                format!("there is no stream {STREAM:?}, which keeps retries, and `declare` does not let us make it; make it with {config}");
            return Err(BrokerError::give_up(what));
        }
        match api::ask::<Value>(&self.js, format!("STREAM.CREATE.{STREAM}"), &config).await {
            Ok(_) => Ok(()),
            // Another host made it meanwhile.
            Err(Said::Refused(_)) if matches!(api::stream(&self.js, STREAM, None).await, Ok(Some(_))) => Ok(()),
            Err(said) => Err(about(said)),
        }
    }

    /// The copies of a group that are kept, by position: what its keys are held by.
    pub(super) async fn waiting(&self, stream: &str, made: &str, group: &str) -> Result<Vec<Waiting>, BrokerError> {
        let mut waiting = Vec::new();
        let mut from = 1;
        while let Some(copy) = self.next_copy(stream, group, from).await? {
            from = copy.sequence + 1;
            if let Some(journey) = Journey::read(&copy.headers) {
                let key = decode(&copy.headers).key.map(std::borrow::Cow::into_owned);
                waiting.push(Waiting { position: journey.position_at(made, copy.sequence), key });
            }
        }
        waiting.sort_by_key(|w| w.position);
        Ok(waiting)
    }

    async fn next_copy(&self, stream: &str, group: &str, from: u64) -> Result<Option<StreamMessage>, BrokerError> {
        let found = messages::next(&self.js, STREAM, &filter(stream, group), from).await;
        found.map_err(|said| said.about(format!("retries of group {group:?} on stream {stream:?}")))
    }

    /// How many copies a group has.
    pub(super) async fn count_retries(&self, stream: &str, group: &str) -> Result<u64, Said> {
        Ok(self.subjects(stream, group).await?.values().sum())
    }

    /// Positions of a group's messages that have a copy, redriven ones and those of an older stream aside.
    pub(super) async fn copied(&self, stream: &str, made: &str, group: &str) -> Result<HashSet<u64>, Said> {
        let subjects = self.subjects(stream, group).await?;
        let own = subject(stream, group, format_args!("{made}."));
        Ok(subjects.keys().filter_map(|subject| subject.strip_prefix(&own)?.parse().ok()).collect())
    }

    /// The subjects of a group's copies, and how many there are of each.
    async fn subjects(&self, stream: &str, group: &str) -> Result<HashMap<String, u64>, Said> {
        let found = api::stream(&self.js, STREAM, Some(&filter(stream, group))).await?;
        Ok(found.and_then(|stream| stream.state.subjects).unwrap_or_default())
    }

    /// Removes the copies of a group.
    pub(super) async fn forget_retries(&self, stream: &str, group: &str) -> Result<(), Said> {
        api::there(api::purge(&self.js, STREAM, &filter(stream, group)).await).map(drop)
    }

    /// Removes the copies of a topic's messages, of all groups.
    pub(super) async fn forget_retries_of(&self, stream: &str, topic: &str) -> Result<(), Said> {
        let all = subject(stream, "*", ">");
        let mut from = 1;
        while let Some(copy) = messages::next(&self.js, STREAM, &all, from).await? {
            from = copy.sequence + 1;
            if Journey::read(&copy.headers).is_some_and(|journey| journey.topic == topic) {
                api::delete_message(&self.js, STREAM, copy.sequence).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journey_is_read_as_it_was_written() {
        let journey = Journey {
            topic: "t".into(),
            made: "a".into(),
            position: 7,
            attempt: 3,
            deliveries: 4,
            first_failed_at: 55,
            redrives: 1,
            not_before: 99,
        };
        let mut headers = HeaderMap::new();
        journey.write(&mut headers);
        assert_eq!(Journey::read(&headers), Some(journey));
        assert_eq!(Journey::read(&HeaderMap::new()), None);
    }

    #[test]
    fn a_position_means_nothing_in_a_stream_that_was_made_anew() {
        let journey = Journey { made: "a".into(), position: 7, ..Journey::default() };
        assert_eq!((journey.position_at("a", 3), journey.position_at("b", 3)), (7, REDRIVEN + 3));
        assert_eq!(Journey::default().position_at("", 3), REDRIVEN + 3, "redriven");
    }
}
