//! The acknowledging half of a lane.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Acks, BoxFuture, BrokerError, Outbox, PublishError, Receipts, SettleError, Settled};
use redis::{RedisError, ScriptInvocation, Value};

use super::decode::{is_fresh, named};
use super::keys::{LATER, LaneKeys};
use super::roles::Shared;
use super::{check, publisher, scripts};
use crate::redis::check::refused_output;
use crate::redis::entry::{int, list};
use crate::redis::envelope;
use crate::redis::errors::{foreign_answer, lacks_right, stands};
use crate::redis::names::{QUEUE, beside};
use crate::redis::publishing;
use crate::redis::server::Server;
use crate::redis::settling::{add_again, tell_stale};

/// Settles rounds of one lane.
pub(super) struct ListAcks {
    pub(super) shared: Arc<Shared>,
    pub(super) keys: Arc<LaneKeys>,
    /// That the lane is there.
    pub(super) _presence: Arc<()>,
}

impl ListAcks {
    async fn settle_round(&self, round: &Settled) -> Result<(), SettleError> {
        if round.again.is_empty() && round.outputs.is_empty() && round.finished.iter().all(is_fresh) {
            return self.acknowledge(&round.finished).await.map_err(|e| self.error(&e).into());
        }
        self.settle_each(round).await.map(drop)
    }

    /// Settles what is ours. Answers what of `finished` is not, by index.
    async fn settle_each(&self, round: &Settled) -> Result<Vec<usize>, SettleError> {
        publishing::check(&round.outputs, publisher::admit)?;
        let topics = publisher::by_topic(&round.outputs, 0..round.outputs.len());
        let script = settlement(&self.keys, round, &topics, self.shared.clock.now());
        let answered = self.shared.server.call(&self.keys.topic, &script).await;
        let answer: Value = match answered {
            Ok(answer) => answer,
            Err(error) => return Err(self.refused(&error, &round.outputs).await),
        };
        match list(&answer) {
            [Value::Int(-1), topic] => Err(wrong_type(&topics, int(topic))),
            [stale, soonest, lost] => {
                tell_stale(&self.keys.topic, &self.keys.group, int(stale).unwrap_or(0));
                self.shared.alarms.set_for(&self.keys.topic, int(soonest), &round.outputs);
                Ok(list(lost).iter().filter_map(|at| usize::try_from(int(at)?).ok()).collect())
            }
            _ => Err(foreign_answer().into()),
        }
    }

    /// Ends messages of which nothing is kept but that this consumer has them: what others have is not in its hash.
    async fn acknowledge(&self, finished: &Receipts) -> Result<(), RedisError> {
        if finished.is_empty() {
            return Ok(());
        }
        let mut command = redis::cmd("HDEL");
        command.arg(&self.keys.held);
        finished.positions().iter().for_each(|number| {
            command.arg(*number);
        });
        let ended: usize = self.shared.server.try_run(&self.keys.topic, &command).await?;
        tell_stale(&self.keys.topic, &self.keys.group, finished.len().saturating_sub(ended) as u64);
        Ok(())
    }

    fn error(&self, error: &RedisError) -> BrokerError {
        lane_error(&self.shared.server, &self.keys, error)
    }

    /// What an error of a round with those outputs means: a missing right may be one of theirs.
    async fn refused(&self, error: &RedisError, outputs: &Outbox) -> SettleError {
        let of_output = if lacks_right(error) { refused_output(&self.shared.server, outputs, check::writing).await } else { None };
        of_output.unwrap_or_else(|| self.error(error).into())
    }
}

impl Acks for ListAcks {
    fn settle<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<(), SettleError>> {
        Box::pin(self.settle_round(round))
    }

    fn take<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<Vec<usize>, SettleError>> {
        Box::pin(self.settle_each(round))
    }

    fn close(self: Box<Self>, _: Receipts) -> BoxFuture<'static, Result<(), BrokerError>> {
        Box::pin(async move {
            let mut script = self.keys.invoke(&scripts::RELEASE);
            script.arg(&self.keys.consumer);
            let released = self.shared.server.call::<Value>(&self.keys.topic, &script).await;
            released.map_err(|e| self.shared.server.error(&e))?;
            self.shared.alarms.set(&self.keys.topic, Duration::ZERO);
            Ok(())
        })
    }
}

/// What an error of a command means for a lane.
pub(super) fn lane_error(server: &Server, keys: &LaneKeys, error: &RedisError) -> BrokerError {
    if error.to_string().contains("LOST") {
        let what = "what this host had was given to others: it was silent for longer than the lease, or the topic was emptied";
        return BrokerError::reconnect(format!("topic {:?} of group {:?}: {what}", keys.topic, keys.group));
    }
    stands(server.error(error))
}

/// The script of a round.
fn settlement<'s>(keys: &LaneKeys, round: &Settled, topics: &[(&str, Vec<usize>)], now: u64) -> ScriptInvocation<'s> {
    let mut script = keys.invoke(&scripts::SETTLE);
    for (topic, _) in topics {
        script.key(*topic).key(beside(topic, QUEUE)).key(beside(topic, LATER));
    }
    script.arg(round.finished.len());
    for receipt in round.finished.iter() {
        let (number, deliveries) = named(receipt);
        script.arg(number).arg(deliveries);
    }
    script.arg(round.again.len());
    for (receipt, how) in round.again.iter().zip(&round.again_how) {
        let (number, deliveries) = named(receipt);
        add_again(script.arg(number).arg(deliveries), how);
    }
    // Where each finished delivery stands among the finished, counted from 1.
    let origins: HashMap<u64, usize> = round.finished.positions().iter().copied().zip(1..).collect();
    script.arg(round.outputs.len());
    for (at, (_, indices)) in topics.iter().enumerate() {
        for i in indices {
            let row = round.outputs.row(*i);
            // One whose message is not in the round belongs to nothing that could be lost.
            let origin = origins.get(&round.outputs.origin(*i)).copied().unwrap_or(0);
            script.arg(at).arg(origin).arg(round.outputs.delay(*i)).arg(u8::from(!row.id().is_empty())).arg(envelope::body(row, now));
        }
    }
    script
}

fn wrong_type(topics: &[(&str, Vec<usize>)], topic: Option<u64>) -> SettleError {
    let found = topic.and_then(|topic| topics.get(usize::try_from(topic).ok()?));
    let (topic, index) = found.map_or(("", 0), |(topic, indices)| (*topic, indices[0]));
    SettleError::Output { index, error: PublishError::Invalid(format!("topic {topic:?}: its key is no list")) }
}
