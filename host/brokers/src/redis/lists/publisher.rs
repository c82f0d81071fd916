//! The publishing side: the messages of a topic in one script, messages that wait one by one.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use longshore_core::row::Row;
use longshore_core::{BoxFuture, BrokerError, Finding, Outbox, PublishError, Publisher};
use redis::RedisError;

use super::keys::LATER;
use super::roles::Shared;
use super::{check, decode, scripts};
use crate::redis::envelope;
use crate::redis::errors::refusal;
use crate::redis::names::{QUEUE, beside, check_name};
use crate::redis::publishing::{has_payload, steps};

type Answer = Result<String, PublishError>;

/// The publishing role.
pub(super) struct ListPublisher(pub(super) Arc<Shared>);

impl Publisher for ListPublisher {
    fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Result<Vec<Answer>, BrokerError>> {
        Box::pin(async move {
            let mut answers: Vec<Answer> = (0..outbox.len()).map(|i| admit(outbox.row(i)).map(|()| String::new())).collect();
            let good = (0..outbox.len()).filter(|i| answers[*i].is_ok());
            let sent = join_all(by_topic(outbox, good).into_iter().map(|(_, indices)| self.publish_to_one(outbox, indices))).await;
            for (i, answer) in sent.into_iter().flatten() {
                answers[i] = answer;
            }
            Ok(answers)
        })
    }

    fn check<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        Box::pin(check::topic(&self.0, topic))
    }
}

impl ListPublisher {
    /// Publishes messages of one topic, in order.
    async fn publish_to_one(&self, outbox: &Outbox, indices: Vec<usize>) -> Vec<(usize, Answer)> {
        let (later, now): (Vec<usize>, Vec<usize>) = indices.into_iter().partition(|i| outbox.delay(*i) > 0);
        let mut answers = Vec::with_capacity(now.len() + later.len());
        for step in steps(outbox, &now) {
            let first = self.append(outbox, step).await;
            answers.extend(step.iter().zip(0..).map(|(i, n)| (*i, first.clone().map(|first| id_of(outbox.row(*i), first + n)))));
        }
        for i in later {
            answers.push((i, self.publish_later(outbox, i).await));
        }
        answers
    }

    /// Appends messages of one topic, and answers the number of the first.
    async fn append(&self, outbox: &Outbox, step: &[usize]) -> Result<u64, PublishError> {
        let (topic, now) = (outbox.row(step[0]).topic(), self.0.clock.now());
        let mut script = scripts::PUBLISH.prepare_invoke();
        script.key(topic).key(beside(topic, QUEUE));
        step.iter().for_each(|i| {
            script.arg(envelope::body(outbox.row(*i), now));
        });
        let before: Result<u64, RedisError> = self.0.server.call(topic, &script).await;
        before.map(|before| before + 1).map_err(|e| refusal(topic, &e))
    }

    async fn publish_later(&self, outbox: &Outbox, i: usize) -> Answer {
        let (row, delay) = (outbox.row(i), outbox.delay(i));
        let topic = row.topic();
        let mut script = scripts::LATER.prepare_invoke();
        script.key(topic).key(beside(topic, QUEUE)).key(beside(topic, LATER));
        script.arg(delay).arg(u8::from(!row.id().is_empty())).arg(envelope::body(row, self.0.clock.now()));
        let number: u64 = self.0.server.call(topic, &script).await.map_err(|e| refusal(topic, &e))?;
        self.0.alarms.set(topic, Duration::from_millis(delay));
        Ok(id_of(row, number))
    }
}

/// Refuses what no topic would take.
pub(super) fn admit(row: Row<'_>) -> Result<(), PublishError> {
    has_payload(row)?;
    check_name(row.topic()).map_err(PublishError::Invalid)
}

/// Messages by their topics, in order.
pub(super) fn by_topic(outbox: &Outbox, indices: impl Iterator<Item = usize>) -> Vec<(&str, Vec<usize>)> {
    let mut topics: Vec<(&str, Vec<usize>)> = Vec::new();
    for i in indices {
        let topic = outbox.row(i).topic();
        match topics.iter_mut().find(|(name, _)| *name == topic) {
            Some((_, indices)) => indices.push(i),
            None => topics.push((topic, vec![i])),
        }
    }
    topics
}

/// The id that readers will see: the message's own, else its place in the queue.
fn id_of(row: Row<'_>, number: u64) -> String {
    if row.id().is_empty() { decode::id(row.topic(), number) } else { row.id().to_owned() }
}
