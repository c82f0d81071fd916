//! Publishing: messages in pipelines, each confirmed by the server. How many listened it says, and nobody is none the wiser: who does not listen
//! is not waited for.

use std::sync::atomic::Ordering;

use longshore_core::row::Row;
use longshore_core::{BoxFuture, BrokerError, Finding, Outbox, PublishError, Publisher};

use super::{Broker, element};
use crate::redis::errors::refusal;
use crate::redis::names::check_name;
use crate::redis::publishing::{has_payload, steps};

type Answer = Result<String, PublishError>;

impl Publisher for Broker {
    fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Result<Vec<Answer>, BrokerError>> {
        Box::pin(async move {
            let mut answers: Vec<Answer> = (0..outbox.len()).map(|i| self.admit(outbox.row(i), outbox.delay(i))).collect();
            let good: Vec<usize> = (0..outbox.len()).filter(|i| answers[*i].is_ok()).collect();
            for step in steps(outbox, &good) {
                self.publish_step(outbox, step, &mut answers).await;
            }
            Ok(answers)
        })
    }

    fn check<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        Box::pin(self.check_publishing(topic))
    }
}

impl Broker {
    /// The id of a message that a channel can carry.
    fn admit(&self, row: Row<'_>, delay: u64) -> Answer {
        has_payload(row)?;
        if delay > 0 {
            let what = "a channel keeps nothing, so it has no delayed messages; publish to a topic of another broker";
            return Err(PublishError::Unsupported(what.into()));
        }
        check_name(row.topic()).map_err(PublishError::Invalid)?;
        Ok(match row.id() {
            "" => format!("{}-{}", self.sender, self.sent.fetch_add(1, Ordering::Relaxed)),
            id => id.to_owned(),
        })
    }

    async fn publish_step(&self, outbox: &Outbox, step: &[usize], answers: &mut [Answer]) {
        let now = self.clock.now();
        let publish = |i: &usize| {
            let (row, id, mut command) = (outbox.row(*i), answers[*i].as_deref().unwrap_or_default(), redis::cmd("PUBLISH"));
            command.arg(row.topic()).arg(element::write(row, id, now));
            // Over one node of a cluster, whichever, so that the nodes cannot change the order.
            ("", command)
        };
        let got = self.server.pipeline(step.iter().map(publish).collect()).await;
        for (n, i) in step.iter().enumerate() {
            let topic = outbox.row(*i).topic();
            let error = match got.get(n) {
                Some(Ok(_)) => None,
                Some(Err(error)) => Some(refusal(topic, error)),
                None => Some(PublishError::Timeout),
            };
            if let Some(error) = error {
                answers[*i] = Err(error);
            }
        }
    }
}
