//! The dedup inbox of a lane: a key beside the stream for each message, in its slot, which says who handles it or that it is done. It is asked
//! by a script of its own and settled by that of the round.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{BoxFuture, BrokerError, Claimed, DedupTimes, Inbox, InboxClaim, InboxEntry, InboxKey, Settled};
use redis::{RedisResult, Script, ScriptInvocation, Value};

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

    /// Runs a script on claims; `first` is what it is told before them.
    async fn run(&self, script: &'static Script, first: Option<u64>, claims: &[InboxClaim]) -> Result<Value, BrokerError> {
        let mut script = script.key(&self.keys.topic);
        script.arg(&self.keys.inbox).arg(first);
        for claim in claims {
            script.arg(claim.key.hex()).arg(claim.claimant.0.as_slice());
        }
        let answer: RedisResult<Value> = self.server.call(&self.keys.topic, &script).await;
        answer.map_err(|error| self.server.error(&error))
    }

    /// The same with the lease, for a script that answers a digit for each.
    async fn ask(&self, script: &'static Script, claims: &[InboxClaim]) -> Result<Vec<u8>, BrokerError> {
        match self.run(script, Some(millis(self.times.lease)), claims).await? {
            Value::BulkString(digits) if digits.len() == claims.len() => Ok(digits),
            _ => Err(foreign_answer()),
        }
    }
}

impl Inbox for StreamInbox {
    fn claim<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<Vec<Claimed>, BrokerError>> {
        let claimed = |digit| match digit {
            b'1' => Claimed::Ours,
            b'2' => Claimed::Done,
            _ => Claimed::Taken,
        };
        Box::pin(async move { Ok(self.ask(&scripts::CLAIM, claims).await?.into_iter().map(claimed).collect()) })
    }

    fn extend<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<Vec<bool>, BrokerError>> {
        Box::pin(async move { Ok(self.ask(&scripts::RECLAIM, claims).await?.into_iter().map(|digit| digit == b'1').collect()) })
    }

    /// The round's script does it.
    fn remember<'a>(&'a self, _: &'a [InboxKey]) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn release<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move { self.run(&scripts::UNCLAIM, None, claims).await.map(drop) })
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}
