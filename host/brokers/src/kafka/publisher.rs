//! Publishing: all messages on their way at once, each answered for by itself.

use std::collections::HashMap;
use std::sync::Arc;

use longshore_core::row::Row;
use longshore_core::{BoxFuture, BrokerError, Finding, Outbox, PublishError, Publisher, headers};
use rdkafka::error::RDKafkaErrorCode as Code;

use super::broker::Broker;
use super::names::check_topic;
use super::post::Letter;
use super::{record, trouble};

/// The publishing role.
pub(super) struct Publishing(pub(super) Arc<Broker>);

impl Publisher for Publishing {
    fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Result<Vec<Result<String, PublishError>>, BrokerError>> {
        Box::pin(async move {
            let topics = topics(&self.0, outbox).await;
            let (mut answers, mut letters, mut sent) = (Vec::with_capacity(outbox.len()), Vec::new(), Vec::new());
            for index in 0..outbox.len() {
                let checked = check(outbox.row(index), outbox.delay(index), &topics);
                answers.push(checked.map(|()| {
                    letters.push(letter(outbox.row(index)));
                    sent.push(index);
                    String::new()
                }));
            }
            let fates = self.0.post.send(letters).await?;
            for (index, fate) in sent.into_iter().zip(fates) {
                let row = outbox.row(index);
                answers[index] = match fate {
                    Ok((partition, offset)) if row.id().is_empty() => Ok(format!("{}/{partition}/{offset}", row.topic())),
                    Ok(_) => Ok(row.id().into()),
                    Err(code) => Err(refused(&self.0, row.topic(), code)),
                };
            }
            Ok(answers)
        })
    }

    fn check<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        Box::pin(super::check::publishing(&self.0, topic))
    }
}

/// The topics of an outbox, each with why it cannot be published to, if it cannot.
pub(super) type Topics<'o> = HashMap<&'o str, Option<PublishError>>;

/// Sees to it that the topics are there; why not, for those that cannot be.
pub(super) async fn topics<'o>(broker: &Arc<Broker>, outbox: &'o Outbox) -> Topics<'o> {
    let mut topics = HashMap::new();
    for index in 0..outbox.len() {
        let row = outbox.row(index);
        if topics.contains_key(row.topic()) {
            continue;
        }
        let source = row.header(headers::DEAD_REASON).and(row.header(headers::DEAD_TOPIC)).and_then(|s| std::str::from_utf8(s).ok());
        let there = match source {
            Some(source) => broker.ensure_dead_letters(row.topic(), source).await,
            None => broker.ensure(row.topic()).await,
        };
        topics.insert(row.topic(), there.err().map(trouble::as_publish));
    }
    topics
}

/// What the brokers' refusal of a message means.
pub(super) fn refused(broker: &Broker, topic: &str, code: Code) -> PublishError {
    if matches!(code, Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) {
        broker.forget(topic);
    }
    trouble::of_publish(topic, code)
}

/// Whether a message can be sent.
pub(super) fn check(row: Row<'_>, delay: u64, topics: &Topics<'_>) -> Result<(), PublishError> {
    if delay > 0 {
        let what = "Kafka delivers at once; publish to a topic of another broker, or let the handler snooze";
        return Err(PublishError::Unsupported(what.into()));
    }
    check_topic(row.topic()).map_err(PublishError::Invalid)?;
    if let Some(Some(error)) = topics.get(row.topic()) {
        return Err(error.clone());
    }
    match row.headers().find(|(name, _)| !record::is_name(name)) {
        Some((name, _)) => Err(PublishError::Invalid(format!("header {name:?} has a zero in its name, which the client cannot send"))),
        None => Ok(()),
    }
}

/// A message that was checked, as it is sent.
pub(super) fn letter(row: Row<'_>) -> Letter<'_> {
    Letter {
        topic: row.topic(),
        partition: None,
        key: row.key(),
        payload: row.payload(),
        headers: record::of_row(row),
        timestamp: row.timestamp(),
    }
}
