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
            let topics = self.topics(outbox).await;
            let (mut answers, mut letters, mut sent) = (Vec::with_capacity(outbox.len()), Vec::new(), Vec::new());
            for index in 0..outbox.len() {
                let letter = letter(outbox.row(index), outbox.delay(index), &topics);
                answers.push(letter.map(|letter| {
                    letters.push(letter);
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
                    Err(code) => Err(self.refused(row.topic(), code)),
                };
            }
            Ok(answers)
        })
    }

    fn check<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        Box::pin(super::check::publishing(&self.0, topic))
    }
}

impl Publishing {
    /// Sees to it that the topics are there; why not, for those that cannot be.
    async fn topics<'o>(&self, outbox: &'o Outbox) -> HashMap<&'o str, Option<PublishError>> {
        let mut topics = HashMap::new();
        for index in 0..outbox.len() {
            let row = outbox.row(index);
            if topics.contains_key(row.topic()) {
                continue;
            }
            let source = row.header(headers::DEAD_REASON).and(row.header(headers::DEAD_TOPIC)).and_then(|s| std::str::from_utf8(s).ok());
            let there = match source {
                Some(source) => self.0.ensure_dead_letters(row.topic(), source).await,
                None => self.0.ensure(row.topic()).await,
            };
            topics.insert(row.topic(), there.err().map(trouble::as_publish));
        }
        topics
    }

    fn refused(&self, topic: &str, code: Code) -> PublishError {
        if matches!(code, Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) {
            self.0.forget(topic);
        }
        trouble::of_publish(topic, code)
    }
}

fn letter<'o>(row: Row<'o>, delay: u64, topics: &HashMap<&str, Option<PublishError>>) -> Result<Letter<'o>, PublishError> {
    if delay > 0 {
        let what = "Kafka delivers at once; publish to a topic of another broker, or let the handler snooze";
        return Err(PublishError::Unsupported(what.into()));
    }
    check_topic(row.topic()).map_err(PublishError::Invalid)?;
    if let Some(Some(error)) = topics.get(row.topic()) {
        return Err(error.clone());
    }
    if let Some((name, _)) = row.headers().find(|(name, _)| !record::is_name(name)) {
        return Err(PublishError::Invalid(format!("header {name:?} has a zero in its name, which the client cannot send")));
    }
    Ok(Letter {
        topic: row.topic(),
        partition: None,
        key: row.key(),
        payload: row.payload(),
        headers: record::of_row(row),
        timestamp: row.timestamp(),
    })
}
