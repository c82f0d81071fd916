//! The acknowledging half of a lane.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use longshore_core::{Acks, BoxFuture, BrokerError, Outbox, PublishError, Receipts, SettleError, Settled};
use redis::{RedisError, ScriptInvocation, Value};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::decode::{Named, named};
use super::dedup::StreamInbox;
use super::keys::{LATER, LATER_KEPT, LaneKeys, Presence};
use super::{check, publisher, scripts, source};
use crate::redis::alarms::Alarms;
use crate::redis::check::refused_output;
use crate::redis::entry::{Fields, count, int, list};
use crate::redis::errors::{foreign_answer, lacks_right, stands};
use crate::redis::names::beside;
use crate::redis::position::EntryId;
use crate::redis::publishing;
use crate::redis::server::Server;
use crate::redis::settling::{add_again, tell_stale};

/// Settles rounds of one lane.
pub(super) struct StreamAcks {
    pub(super) server: Arc<Server>,
    pub(super) alarms: Arc<Alarms>,
    pub(super) presence: Arc<Presence>,
    /// Ends the reader, and its connection with it.
    pub(super) reader: AbortHandle,
    /// Where claims of the round end.
    pub(super) inbox: Option<Arc<StreamInbox>>,
    /// Whether outputs can go in a transaction of plain commands.
    pub(super) has_transactions: bool,
    /// When everything that is held was ours for certain: the lane's beginning, or the last extension. `None`: something was lost since.
    pub(super) sure_at: Option<Instant>,
    /// Whether it is unknown what became of the last round.
    pub(super) in_doubt: bool,
}

/// Receipts, by what they name.
#[derive(Default)]
pub(super) struct Sorted {
    pub(super) entries: Vec<(usize, EntryId)>,
    pub(super) retries: Vec<(usize, String, String)>,
}

impl Sorted {
    pub(super) fn of(receipts: &Receipts) -> Self {
        let mut sorted = Sorted::default();
        for (i, receipt) in receipts.iter().enumerate() {
            match named(receipt) {
                Some(Named::Entry(id)) => sorted.entries.push((i, id)),
                Some(Named::Retry(id, deliveries)) => sorted.retries.push((i, id, deliveries)),
                None => tracing::error!(position = receipt.position, "a receipt of another broker is ignored"),
            }
        }
        sorted
    }
}

impl StreamAcks {
    pub(super) fn keys(&self) -> &LaneKeys {
        &self.presence.keys
    }

    async fn settle_round(&mut self, round: &Settled) -> Result<(), SettleError> {
        let Some(certain) = self.certain(round) else {
            self.settle_each(round).await?;
            self.in_doubt = false;
            return Ok(());
        };
        // Told once more, it is looked at one by one: what is finished by then is not ours any more, and is not published again.
        self.in_doubt = true;
        self.finish(certain, round).await?;
        if !round.again.is_empty() {
            let rest = Settled { again: round.again.clone(), again_how: round.again_how.clone(), ..Settled::default() };
            self.settle_each(&rest).await?;
        }
        self.in_doubt = false;
        Ok(())
    }

    /// Settles what is ours. Answers what of `finished` is not, by index.
    async fn settle_each(&self, round: &Settled) -> Result<Vec<usize>, SettleError> {
        publishing::check(&round.outputs, publisher::admit)?;
        let keys = self.keys();
        let topics = topics_of(&round.outputs);
        let script = settlement(keys, round, &topics, self.inbox.as_deref());
        let answered = self.server.call(&keys.topic, &script).await;
        let answer: Value = match answered {
            Ok(answer) => answer,
            Err(error) => return Err(self.refused(&error, &round.outputs).await),
        };
        match list(&answer) {
            [Value::Int(-1), topic] => Err(wrong_type(&round.outputs, &topics, int(topic))),
            [stale, trimmed, soonest, lost] => {
                tell_stale(&keys.topic, &keys.group, int(stale).unwrap_or(0));
                self.presence.losses.add(keys, int(trimmed).unwrap_or(0), source::TRIMMED);
                self.alarms.set_for(&keys.topic, int(soonest), &round.outputs);
                Ok(lost_of(&round.finished, list(lost)))
            }
            _ => Err(foreign_answer().into()),
        }
    }

    pub(super) fn error(&self, error: &RedisError) -> BrokerError {
        lane_error(&self.server, self.keys(), error)
    }

    /// What an error of a round with those outputs means: a missing right may be one of theirs.
    pub(super) async fn refused(&self, error: &RedisError, outputs: &Outbox) -> SettleError {
        let of_output = if lacks_right(error) { refused_output(&self.server, outputs, check::writing).await } else { None };
        of_output.unwrap_or_else(|| self.error(error).into())
    }
}

impl Acks for StreamAcks {
    fn settle<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<(), SettleError>> {
        Box::pin(self.settle_round(round))
    }

    fn take<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<Vec<usize>, SettleError>> {
        Box::pin(self.settle_each(round))
    }

    fn extend<'a>(&'a mut self, held: &'a Receipts) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            let (keys, sorted, now) = (self.keys(), Sorted::of(held), Instant::now());
            let mut script = keys.invoke(&scripts::EXTEND);
            keys.who(&mut script);
            bounds(&mut script, sorted.entries.iter().map(|(_, id)| *id));
            script.arg(sorted.entries.len());
            sorted.entries.iter().for_each(|(_, id)| {
                script.arg(id.to_string());
            });
            script.arg(sorted.retries.len());
            sorted.retries.iter().for_each(|(_, id, deliveries)| {
                script.arg(id).arg(deliveries);
            });
            let (lost, deleted): (u64, u64) = self.server.call(&keys.topic, &script).await.map_err(|e| self.error(&e))?;
            self.presence.losses.add(keys, deleted, source::DELETED);
            self.sure_at = self.sure_at.filter(|_| lost == 0).map(|_| now);
            let keys = self.keys();
            if lost > 0 {
                tracing::warn!(topic = %keys.topic, group = %keys.group, lost, "leases ran out before they were extended: others have the messages");
            }
            Ok(())
        })
    }

    fn close(self: Box<Self>, _: Receipts) -> BoxFuture<'static, Result<(), BrokerError>> {
        Box::pin(async move {
            // What the server would still hand to a read that waits would be nobody's until its lease is over.
            self.reader.abort();
            release(&self.server, self.keys()).await?;
            self.presence.left.store(true, Ordering::Relaxed);
            self.alarms.set(&self.keys().topic, Duration::ZERO);
            Ok(())
        })
    }
}

/// Leaves a lane: what its consumer has is anybody's, also what no fetch brought yet.
pub(super) async fn release(server: &Server, keys: &LaneKeys) -> Result<(), BrokerError> {
    let mut script = keys.invoke(&scripts::RELEASE);
    script.arg(&keys.group).arg(&keys.consumer).arg(u8::from(keys.is_broadcast())).arg(keys.lease_millis());
    server.call::<Value>(&keys.topic, &script).await.map(drop).map_err(|e| server.error(&e))
}

/// What an error of a command means for a lane.
pub(super) fn lane_error(server: &Server, keys: &LaneKeys, error: &RedisError) -> BrokerError {
    let told = error.to_string();
    if told.contains("LOST") {
        return BrokerError::reconnect(format!("another host reads topic {:?} for group {:?} now", keys.topic, keys.group));
    }
    let error = server.error(error);
    if told.contains("NOGROUP") { error } else { stands(error) }
}

/// The script of a round.
fn settlement<'s>(keys: &LaneKeys, round: &Settled, topics: &[&str], inbox: Option<&StreamInbox>) -> ScriptInvocation<'s> {
    let (finished, again) = (Sorted::of(&round.finished), Sorted::of(&round.again));
    let mut script = keys.invoke(&scripts::SETTLE);
    for topic in topics {
        script.key(*topic).key(beside(topic, LATER)).key(beside(topic, LATER_KEPT));
    }
    keys.who(&mut script);
    bounds(&mut script, finished.entries.iter().chain(&again.entries).map(|(_, id)| *id));
    script.arg(finished.entries.len());
    finished.entries.iter().for_each(|(_, id)| {
        script.arg(id.to_string());
    });
    script.arg(finished.retries.len());
    finished.retries.iter().for_each(|(_, id, deliveries)| {
        script.arg(id).arg(deliveries);
    });
    script.arg(again.entries.len());
    for (i, id) in &again.entries {
        script.arg(id.to_string());
        add_again(&mut script, &round.again_how[*i]);
    }
    script.arg(again.retries.len());
    for (i, id, deliveries) in &again.retries {
        script.arg(id).arg(deliveries);
        add_again(&mut script, &round.again_how[*i]);
    }
    let origins = origins(&finished, &round.finished);
    add_outputs(&mut script, &round.outputs, topics, &origins);
    if let Some(inbox) = inbox {
        inbox.add_entries(&mut script, round, |position| origins.get(&position).copied().unwrap_or(0));
    }
    script
}

/// Lowest and highest of ids.
fn bounds(script: &mut ScriptInvocation<'_>, ids: impl Iterator<Item = EntryId>) {
    let (mut low, mut high) = (EntryId { millis: u64::MAX, number: u64::MAX }, EntryId { millis: 0, number: 0 });
    for id in ids {
        (low, high) = (low.min(id), high.max(id));
    }
    script.arg(low.to_string()).arg(high.to_string());
}

/// Indices of the finished that the script says are another's: counted from 1, retries below 0.
fn lost_of(finished: &Receipts, lost: &[Value]) -> Vec<usize> {
    let sorted = Sorted::of(finished);
    let index = |at: i64| {
        let place = usize::try_from(at.unsigned_abs()).ok()?.checked_sub(1)?;
        if at > 0 { sorted.entries.get(place).map(|(i, _)| *i) } else { sorted.retries.get(place).map(|(i, ..)| *i) }
    };
    let mut lost: Vec<usize> = lost.iter().filter_map(|at| if let Value::Int(at) = at { index(*at) } else { None }).collect();
    lost.sort_unstable();
    lost
}

/// Where each finished delivery stands among the finished: counted from 1, retries below 0.
fn origins(finished: &Sorted, receipts: &Receipts) -> HashMap<u64, i64> {
    let entries = (1..).zip(&finished.entries).map(|(at, (i, _))| (*i, at));
    let retries = (1..).zip(&finished.retries).map(|(at, (i, ..))| (*i, -at));
    entries.chain(retries).map(|(i, at): (usize, i64)| (receipts.get(i).position, at)).collect()
}

fn topics_of(outputs: &Outbox) -> Vec<&str> {
    let mut topics: Vec<&str> = Vec::new();
    for i in 0..outputs.len() {
        let topic = outputs.row(i).topic();
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    topics
}

fn add_outputs(script: &mut ScriptInvocation<'_>, outputs: &Outbox, topics: &[&str], origins: &HashMap<u64, i64>) {
    script.arg(outputs.len());
    for i in 0..outputs.len() {
        let row = outputs.row(i);
        let topic = topics.iter().position(|topic| *topic == row.topic()).expect("all topics were listed");
        // One whose message is not in the round belongs to nothing that could be lost.
        let origin = origins.get(&outputs.origin(i)).copied().unwrap_or(0);
        script.arg(topic).arg(origin).arg(outputs.delay(i)).arg(count(row) * 2).arg(Fields(row));
    }
}

pub(super) fn wrong_type(outputs: &Outbox, topics: &[&str], topic: Option<u64>) -> SettleError {
    let topic = topic.and_then(|topic| topics.get(usize::try_from(topic).ok()?)).copied().unwrap_or_default();
    let index = (0..outputs.len()).find(|i| outputs.row(*i).topic() == topic).unwrap_or(0);
    SettleError::Output { index, error: PublishError::Invalid(format!("topic {topic:?}: its key is no stream")) }
}
