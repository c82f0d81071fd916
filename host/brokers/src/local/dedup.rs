//! The dedup inbox of a lane. What was done stands in a table, written in the transaction of the settlement; what is being handled is known
//! to this process alone, as the lane is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_core::{BoxFuture, BrokerError, Claimant, Claimed, Inbox, InboxClaim, InboxEntry, InboxKey};

use super::backend::Backend;
use super::broker::Broker;
use super::front::Local;
use super::settle::due_at;
use super::tables::{LaneId, Tables};

type Result<T> = std::result::Result<T, BrokerError>;

/// Rows whose time is over that are removed in one step.
const STEP: u64 = 1_000;

/// The inbox of one lane.
pub(super) struct LaneInbox<B> {
    front: Arc<Local<B>>,
    lane: LaneId,
    claims: Mutex<HashMap<InboxKey, Claimant>>,
}

impl<B: Backend> LaneInbox<B> {
    pub(super) fn new(front: Arc<Local<B>>, lane: LaneId) -> Self {
        LaneInbox { front, lane, claims: Mutex::default() }
    }

    /// Takes keys that nobody has.
    fn take(&self, claims: &[InboxClaim]) -> Vec<bool> {
        let mut held = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.iter().map(|claim| *held.entry(claim.key).or_insert(claim.claimant) == claim.claimant).collect()
    }

    /// Gives back keys, whether they were done or not: what was done is found in the table.
    pub(super) fn give_back<'a>(&self, claims: impl Iterator<Item = &'a InboxClaim>) {
        let mut held = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        for claim in claims {
            if held.get(&claim.key) == Some(&claim.claimant) {
                held.remove(&claim.key);
            }
        }
    }
}

impl<B: Backend> Inbox for LaneInbox<B> {
    fn claim<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<Vec<Claimed>>> {
        Box::pin(async move {
            // Taken first, looked up then: what is done is given back once it stands in the table, so it is seen there or taken here.
            let ours = self.take(claims);
            let keys: Vec<InboxKey> = claims.iter().zip(&ours).filter(|(_, ours)| **ours).map(|(claim, _)| claim.key).collect();
            let lane = self.lane;
            let done = match self.front.run(move |broker, now| broker.done(lane, &keys, now)).await {
                Ok(done) => done,
                Err(error) => {
                    self.give_back(claims.iter());
                    return Err(error);
                }
            };
            let mut done = done.into_iter();
            let answers = ours.into_iter().map(|ours| match (ours, ours.then(|| done.next()).flatten()) {
                (false, _) => Claimed::Taken,
                (true, Some(true)) => Claimed::Done,
                (true, _) => Claimed::Ours,
            });
            let answers: Vec<Claimed> = answers.collect();
            self.give_back(claims.iter().zip(&answers).filter(|(_, answer)| **answer == Claimed::Done).map(|(claim, _)| claim));
            Ok(answers)
        })
    }

    /// Nobody can take it away from a lane that lives.
    fn extend<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<Vec<bool>>> {
        let held = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = claims.iter().map(|claim| held.get(&claim.key) == Some(&claim.claimant)).collect();
        Box::pin(std::future::ready(Ok(kept)))
    }

    fn remember<'a>(&'a self, _: &'a [InboxKey]) -> BoxFuture<'a, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn release<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<()>> {
        self.give_back(claims.iter());
        Box::pin(std::future::ready(Ok(())))
    }
}

impl<T: Tables> Broker<T> {
    /// Which keys a lane remembers.
    fn done(&self, lane: LaneId, keys: &[InboxKey], now: u64) -> Result<Vec<bool>> {
        keys.iter().map(|key| self.tables.remembers(lane, key, now)).collect()
    }

    /// Remembers what a round has done.
    pub(super) fn remember(&mut self, lane: LaneId, entries: &[InboxEntry], window: Duration, now: u64) -> Result<()> {
        let until = due_at(now, window);
        entries.iter().filter(|entry| entry.done).try_for_each(|entry| self.tables.remember(lane, &entry.claim.key, until))
    }

    /// Forgets a few of those whose time is over. Says whether there may be more.
    pub(super) fn forget_done(&mut self, now: u64) -> Result<bool> {
        Ok(self.tables.forget_until(now, STEP)? == STEP)
    }
}
