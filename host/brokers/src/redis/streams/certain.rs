//! Settling what is a lane's for certain: while no lease of it can be over nobody else can have it, and the server need not look at each.

use longshore_core::row::Row;
use longshore_core::{Outbox, SettleError, Settled};
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};

use super::acks::{Sorted, StreamAcks, wrong_type};
use super::keys::LaneKeys;
use super::{publisher, scripts};
use crate::redis::entry::{Fields, count};
use crate::redis::errors::foreign_answer;
use crate::redis::publishing;
use crate::redis::settling::tell_stale;

/// What a round finishes that is the lane's for certain.
pub(super) struct Certain {
    finished: Sorted,
    /// Whether something is published with it, all of it to one topic and at once.
    publishes: bool,
}

impl StreamAcks {
    /// What a round finishes, if nobody else can have any of it and it can be settled without looking. Whatever was handed over is younger
    /// than a third of its lease and extended every third of it. What is published must arrive before a lease can be over, too.
    pub(super) fn certain(&self, round: &Settled) -> Option<Certain> {
        let (lease, age) = (self.keys().lease, self.sure_at?.elapsed());
        if self.in_doubt || !round.inbox.is_empty() || round.finished.is_empty() || age >= lease / 2 {
            return None;
        }
        let (finished, publishes) = (Sorted::of(&round.finished), !round.outputs.is_empty());
        let can_be = match publishes {
            true => self.has_transactions && age + self.server.on_its_way < lease && is_plain(&round.outputs),
            false => finished.retries.is_empty(),
        };
        can_be.then_some(Certain { finished, publishes })
    }

    /// Finishes it, with what it publishes.
    pub(super) async fn finish(&self, certain: Certain, round: &Settled) -> Result<(), SettleError> {
        if certain.publishes {
            publishing::check(&round.outputs, publisher::admit)?;
            return self.publish_and_finish(&certain.finished, &round.outputs).await;
        }
        self.acknowledge(&certain.finished).await.map_err(|e| self.error(&e).into())
    }

    async fn acknowledge(&self, finished: &Sorted) -> Result<(), RedisError> {
        let (keys, mut command) = (self.keys(), redis::cmd("XACK"));
        command.arg(&keys.topic).arg(&keys.group);
        finished.entries.iter().for_each(|(_, id)| {
            command.arg(id.to_string());
        });
        let acknowledged: usize = self.server.try_run(&keys.topic, &command).await?;
        tell_stale(&keys.topic, &keys.group, finished.entries.len().saturating_sub(acknowledged) as u64);
        Ok(())
    }

    /// One transaction of plain commands: the server takes a third less time for them than for those of a script.
    async fn publish_and_finish(&self, finished: &Sorted, outputs: &Outbox) -> Result<(), SettleError> {
        let (keys, last) = (self.keys(), outputs.len() - 1);
        let mut transaction = Pipeline::with_capacity(outputs.len());
        transaction.atomic();
        for i in 0..last {
            transaction.add_command(publisher::append(outputs.row(i)));
        }
        transaction.add_command(finishing(keys, finished, outputs.row(last)));
        match self.run_last(&transaction).await {
            Ok(Value::Int(stale)) => {
                tell_stale(&keys.topic, &keys.group, u64::try_from(stale).unwrap_or(0));
                Ok(())
            }
            Ok(_) => Err(foreign_answer().into()),
            Err(error) if error.code() == Some("WRONGTYPE") => Err(wrong_type(outputs, &[outputs.row(last).topic()], Some(0))),
            Err(error) => Err(self.refused(&error, outputs).await),
        }
    }

    /// Runs a transaction. Answers what its last command said.
    async fn run_last(&self, transaction: &Pipeline) -> RedisResult<Value> {
        self.server.transaction(transaction).await?.pop().unwrap_or(Value::Nil).extract_error()
    }
}

/// Whether all goes to one topic, at once: then either all of it is refused or nothing.
fn is_plain(outputs: &Outbox) -> bool {
    let topic = outputs.row(0).topic();
    (0..outputs.len()).all(|i| outputs.delay(i) == 0 && outputs.row(i).topic() == topic)
}

/// The script that publishes the last output and finishes the round.
fn finishing(keys: &LaneKeys, finished: &Sorted, last: Row<'_>) -> Cmd {
    let mut script = redis::cmd("EVAL");
    script.arg(scripts::FINISH).arg(4).arg(&keys.topic).arg(&keys.due).arg(&keys.kept).arg(last.topic());
    script.arg(&keys.group).arg(&keys.consumer).arg(count(last) * 2).arg(finished.entries.len());
    for (_, id) in &finished.entries {
        script.arg(id.to_string());
    }
    script.arg(finished.retries.len());
    for (_, id, deliveries) in &finished.retries {
        script.arg(id).arg(deliveries);
    }
    script.arg(Fields(last));
    script
}
