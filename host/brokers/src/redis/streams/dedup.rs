//! The dedup inbox of a lane: a key beside the stream for each message, in its slot, which says who handles it or that it is done. It is asked
//! by a script of its own and settled by that of the round.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{BoxFuture, BrokerError, Claimed, DedupTimes, Inbox, InboxClaim, InboxEntry, Settled};
use redis::{RedisResult, ScriptInvocation, Value};

use super::keys::LaneKeys;
use super::scripts;
use crate::redis::errors::foreign_answer;
use crate::redis::server::Server;

/// The inbox of one lane.
pub(super) struct StreamInbox {
    pub(super) server: Arc<Server>,
    pub(super) keys: Arc<LaneKeys>,
    pub(super) times: DedupTimes,
}

impl StreamInbox {
    /// Adds what of the inbox ends with a round; `origin` says where the message stands among the finished, as for outputs.
    pub(super) fn add_entries(&self, script: &mut ScriptInvocation<'_>, round: &Settled, origin: impl Fn(u64) -> i64) {
        script.arg(&self.keys.inbox).arg(millis(self.times.window)).arg(round.inbox.len());
        for InboxEntry { claim, position, done } in &round.inbox {
            script.arg(claim.key.hex()).arg(claim.claimant.0.as_slice()).arg(u8::from(*done)).arg(origin(*position));
        }
    }

    async fn run(&self, script: &ScriptInvocation<'_>) -> Result<Value, BrokerError> {
        let answer: RedisResult<Value> = self.server.call(&self.keys.topic, script).await;
        answer.map_err(|error| self.server.error(&error))
    }
}

impl Inbox for StreamInbox {
    fn claim<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<Vec<Claimed>, BrokerError>> {
        Box::pin(async move {
            let mut script = scripts::CLAIM.key(&self.keys.topic);
            script.arg(&self.keys.inbox).arg(millis(self.times.lease));
            for claim in claims {
                script.arg(claim.key.hex()).arg(claim.claimant.0.as_slice());
            }
            let (Value::BulkString(answers), asked) = (self.run(&script).await?, claims.len()) else { return Err(foreign_answer()) };
            let claimed = answers.iter().map(|digit| match digit {
                b'1' => Claimed::Ours,
                b'2' => Claimed::Done,
                _ => Claimed::Taken,
            });
            if answers.len() == asked { Ok(claimed.collect()) } else { Err(foreign_answer()) }
        })
    }

    fn extend<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<Vec<bool>, BrokerError>> {
        Box::pin(async move {
            let mut script = scripts::RECLAIM.key(&self.keys.topic);
            script.arg(&self.keys.inbox).arg(millis(self.times.lease));
            for claim in claims {
                script.arg(claim.key.hex()).arg(claim.claimant.0.as_slice());
            }
            let Value::BulkString(answers) = self.run(&script).await? else { return Err(foreign_answer()) };
            if answers.len() == claims.len() { Ok(answers.iter().map(|digit| *digit == b'1').collect()) } else { Err(foreign_answer()) }
        })
    }

    /// The round's script does it.
    fn remember<'a>(&'a self, _: &'a [InboxEntry]) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn release<'a>(&'a self, entries: &'a [InboxEntry]) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            let mut script = scripts::UNCLAIM.key(&self.keys.topic);
            script.arg(&self.keys.inbox);
            for entry in entries {
                script.arg(entry.claim.key.hex()).arg(entry.claim.claimant.0.as_slice());
            }
            self.run(&script).await.map(drop)
        })
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}
