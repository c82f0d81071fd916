//! The publishing side: entries in one pipeline, messages that wait one by one.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::row::Row;
use longshore_core::{BoxFuture, BrokerError, Finding, Outbox, PublishError, Publisher};
use redis::{Cmd, RedisResult, Value};

use super::keys::{LATER, LATER_KEPT};
use super::{check, scripts};
use crate::redis::alarms::Alarms;
use crate::redis::entry::{Fields, count, text};
use crate::redis::errors::refusal;
use crate::redis::names::{beside, check_name};
use crate::redis::publishing::{has_payload, steps};
use crate::redis::server::Server;

type Answers = Vec<Result<String, PublishError>>;

/// Fields of one entry: a script can pass on so many.
const MAX_FIELDS: usize = 3900;

/// The publishing role.
pub(super) struct StreamPublisher {
    pub(super) server: Arc<Server>,
    pub(super) alarms: Arc<Alarms>,
}

impl Publisher for StreamPublisher {
    fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Result<Answers, BrokerError>> {
        Box::pin(async move {
            let mut answers: Vec<_> = (0..outbox.len()).map(|i| admit(outbox.row(i)).map(|()| String::new())).collect();
            let good: Vec<usize> = (0..outbox.len()).filter(|i| answers[*i].is_ok()).collect();
            let (later, now): (Vec<usize>, Vec<usize>) = good.into_iter().partition(|i| outbox.delay(*i) > 0);
            for step in steps(outbox, &now) {
                self.publish_now(outbox, step, &mut answers).await;
            }
            for i in later {
                answers[i] = self.publish_later(outbox, i).await;
            }
            Ok(answers)
        })
    }

    fn check<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        Box::pin(check::topic(&self.server, topic))
    }
}

impl StreamPublisher {
    async fn publish_now(&self, outbox: &Outbox, step: &[usize], answers: &mut Answers) {
        let append = |i: &usize| (outbox.row(*i).topic(), append(outbox.row(*i)));
        let got = self.server.pipeline(step.iter().map(append).collect()).await;
        for (n, i) in step.iter().enumerate() {
            answers[*i] = id_of(outbox.row(*i), got.get(n));
        }
    }

    async fn publish_later(&self, outbox: &Outbox, i: usize) -> Result<String, PublishError> {
        let row = outbox.row(i);
        let mut script = scripts::LATER.prepare_invoke();
        script.key(row.topic()).key(beside(row.topic(), LATER)).key(beside(row.topic(), LATER_KEPT));
        script.arg(outbox.delay(i)).arg(Fields(row));
        let id = self.server.call(row.topic(), &script).await.map_err(|e| refusal(row.topic(), &e))?;
        self.alarms.set(row.topic(), Duration::from_millis(outbox.delay(i)));
        Ok(id)
    }
}

/// The command that appends a message.
pub(super) fn append(row: Row<'_>) -> Cmd {
    let mut command = redis::cmd("XADD");
    command.arg(row.topic()).arg("*").arg(Fields(row));
    command
}

/// Refuses what no topic would take.
pub(super) fn admit(row: Row<'_>) -> Result<(), PublishError> {
    has_payload(row)?;
    if count(row) * 2 > MAX_FIELDS {
        return Err(PublishError::TooLarge(format!("{} headers; an entry takes {}", row.headers().count(), MAX_FIELDS / 2 - 4)));
    }
    check_name(row.topic()).map_err(PublishError::Invalid)
}

/// The id that readers will see: the message's own, else the entry's.
fn id_of(row: Row<'_>, answer: Option<&RedisResult<Value>>) -> Result<String, PublishError> {
    match answer {
        Some(Err(error)) => Err(refusal(row.topic(), error)),
        Some(Ok(value)) => match text(value) {
            Some(_) if !row.id().is_empty() => Ok(row.id().to_owned()),
            Some(id) => Ok(id.to_owned()),
            None => Err(PublishError::Unavailable("the server's answer is no id".into())),
        },
        None => Err(PublishError::Timeout),
    }
}
