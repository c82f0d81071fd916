//! The dedup inbox of a lane. A message is claimed when its call begins: a duplicate ends there, and what another delivery is at comes again
//! later. A claim is held while its message is called and settled, never while it waits: so no two can wait for each other.
//!
//! Where the inbox cannot be asked, the call does not happen: nobody is charged, and nothing is called that might be done already.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{BoxFuture, BrokerError, Claimant, Claimed, Handler, Inbox, InboxClaim, InboxEntry, InboxKey};
use tokio::time::Instant;

use crate::order::Picked;
use crate::policy::Dedup;
use crate::round::Record;
use crate::verdict::{Fault, Verdict};

use super::{LAST_SETTLEMENT, LaneTask, Phase, after};

/// How long the second of two deliveries waits at most before it asks again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The claims of a lane.
pub(crate) struct Claims {
    dedup: Dedup,
    inbox: Arc<dyn Inbox>,
    /// Whether claims end in the settlement's own transaction.
    with_acks: bool,
    /// Which lane of this process it is.
    lane: u32,
    /// What was asked for and has not ended, by sequence number.
    held: BTreeMap<u64, Held>,
    /// An extension that is under way.
    extending: Option<BoxFuture<'static, Result<Vec<Claimed>, BrokerError>>>,
    next_extension: Instant,
}

struct Held {
    key: InboxKey,
    /// Whether it is ours for certain.
    granted: bool,
}

impl Claims {
    /// The claims of a lane whose broker keeps an inbox itself, or else of that of the policy.
    pub(super) fn new(dedup: &Dedup, of_lane: Option<Arc<dyn Inbox>>, lane: u32) -> Option<Self> {
        let with_acks = of_lane.is_some();
        let inbox = of_lane.or_else(|| dedup.inbox.clone())?;
        let next_extension = after(dedup.times.lease / 3);
        Some(Claims { dedup: dedup.clone(), inbox, with_acks, lane, held: BTreeMap::new(), extending: None, next_extension })
    }

    fn claim(&self, seq: u64, key: InboxKey) -> InboxClaim {
        InboxClaim { key, claimant: Claimant::new(self.dedup.process, self.lane, seq) }
    }

    fn granted(&self) -> Vec<InboxClaim> {
        self.held.iter().filter(|(_, held)| held.granted).map(|(seq, held)| self.claim(*seq, held.key)).collect()
    }

    /// Asks for the messages of a call; none where none of them has a key.
    pub(super) fn ask(&mut self, picked: &Picked) -> Option<BoxFuture<'static, Result<Vec<Claimed>, BrokerError>>> {
        let mut claims = Vec::new();
        for i in 0..picked.len() {
            if let Some(key) = self.dedup.key.of(picked.batch.row(picked.from + i)) {
                self.held.insert(picked.seq(i), Held { key, granted: false });
                claims.push(self.claim(picked.seq(i), key));
            }
        }
        let inbox = Arc::clone(&self.inbox);
        (!claims.is_empty()).then(|| Box::pin(async move { inbox.claim(&claims).await }) as _)
    }

    /// Notes what was answered, and says it for each message of the call; one without a key is called as it is.
    fn note(&mut self, picked: &Picked, answers: &[Claimed]) -> Vec<Claimed> {
        let mut answers = answers.iter().copied();
        let mut note = |i| {
            let seq = picked.seq(i);
            let Some(held) = self.held.get_mut(&seq) else { return Claimed::Ours };
            let answer = answers.next().unwrap_or(Claimed::Taken);
            match answer {
                Claimed::Ours => held.granted = true,
                Claimed::Done | Claimed::Taken => drop(self.held.remove(&seq)),
            }
            answer
        };
        (0..picked.len()).map(&mut note).collect()
    }

    /// Claims of messages that wait again are not held: they are asked for with the next call, or end with their lease.
    fn let_go(&mut self, picked: &Picked, index: usize) {
        self.held.remove(&picked.seq(index));
    }

    /// Ends with an extension; never while none is under way.
    pub(super) async fn extended(claims: &mut Option<Claims>) -> Result<Vec<Claimed>, BrokerError> {
        let Some(extending) = claims.as_mut().and_then(|claims| claims.extending.as_mut()) else { return std::future::pending().await };
        let answer = extending.await;
        if let Some(claims) = claims {
            claims.extending = None;
        }
        answer
    }

    /// When the lane has to extend claims.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        (!self.held.is_empty() && self.extending.is_none()).then_some(self.next_extension)
    }

    /// What of the inbox ends with a record.
    pub(crate) fn entries(&self, record: &Record, into: &mut Vec<InboxEntry>) {
        for i in 0..record.picked.len() {
            let (verdict, seq) = (record.verdict(i), record.picked.seq(i));
            let Some(held) = self.held.get(&seq).filter(|_| !matches!(verdict, Verdict::Requeue { .. })) else { continue };
            let position = record.picked.batch.receipt(record.picked.from + i).position;
            into.push(InboxEntry { claim: self.claim(seq, held.key), position, done: *verdict == Verdict::Done });
        }
    }

    /// The inbox that a round has to tell by itself, where the settlement does not.
    pub(crate) fn apart(&self) -> Option<Arc<dyn Inbox>> {
        (!self.with_acks).then(|| Arc::clone(&self.inbox))
    }

    /// A record is settled: its claims are over.
    pub(super) fn settled(&mut self, record: &Record) {
        for i in 0..record.picked.len() {
            if !matches!(record.verdict(i), Verdict::Requeue { .. }) {
                self.let_go(&record.picked, i);
            }
        }
    }

    /// Gives back every claim, at the lane's end.
    async fn release(self) -> Result<(), BrokerError> {
        let entry = |(seq, held): (&u64, &Held)| InboxEntry { claim: self.claim(*seq, held.key), position: 0, done: false };
        let entries: Vec<InboxEntry> = self.held.iter().map(entry).collect();
        if entries.is_empty() { Ok(()) } else { self.inbox.release(&entries).await }
    }
}

impl<H: Handler> LaneTask<H> {
    /// What becomes of each message of a call once the inbox has answered: none for those that are called.
    pub(super) fn refusals(&mut self, picked: &Picked, answers: &[Claimed]) -> Vec<Option<Verdict>> {
        let Some(claims) = &mut self.claims else { return vec![None; picked.len()] };
        let (answers, delay) = (claims.note(picked, answers), (claims.dedup.times.lease / 3).min(ASK_AGAIN));
        let mut verdicts: Vec<Verdict> = Vec::with_capacity(picked.len());
        for (i, answer) in answers.into_iter().enumerate() {
            let taken = || Fault { class: "duplicate", message: "another delivery of it is handled now".into() };
            let verdict = match answer {
                Claimed::Done => Verdict::Duplicate,
                Claimed::Taken => Verdict::Again { delay, counted: false, fault: taken() },
                Claimed::Ours if self.judge().held_back(picked, i, &verdicts) => Verdict::Requeue { alone: false },
                Claimed::Ours => Verdict::Done,
            };
            verdicts.push(verdict);
        }
        verdicts.into_iter().map(|verdict| (verdict != Verdict::Done).then_some(verdict)).collect()
    }

    /// Messages that wait in the lane again have no claim.
    pub(super) fn let_claims_go(&mut self, picked: &Picked, waits: impl Fn(usize) -> bool) {
        if let Some(claims) = &mut self.claims {
            (0..picked.len()).filter(|i| waits(*i)).for_each(|i| claims.let_go(picked, i));
        }
    }

    /// Extends claims, three times in a lease.
    pub(super) fn extend_claims(&mut self) {
        let due = |claims: &&mut Claims| claims.extending.is_none() && Instant::now() >= claims.next_extension;
        let Some(claims) = self.claims.as_mut().filter(due).filter(|_| self.phase != Phase::Closing) else { return };
        claims.next_extension = after(claims.dedup.times.lease / 3);
        let granted = claims.granted();
        if !granted.is_empty() {
            let inbox = Arc::clone(&claims.inbox);
            claims.extending = Some(Box::pin(async move { inbox.claim(&granted).await }));
        }
    }

    /// Claims were extended, or not: their messages go on either way, as they do when a broker's lease is over.
    pub(super) fn claims_extended(&self, answer: Result<Vec<Claimed>, BrokerError>) {
        let (subscription, lane) = (&self.shared.policy.info.name, &self.id);
        match answer {
            Err(error) => tracing::warn!(%subscription, %lane, "claims of messages were not extended: {error}"),
            Ok(claimed) => {
                // What was settled meanwhile is done.
                let lost = claimed.iter().filter(|claimed| **claimed == Claimed::Taken).count();
                if lost > 0 {
                    tracing::warn!(%subscription, %lane, lost, "claims ran out before they were extended: copies of the messages may be handled twice");
                }
            }
        }
    }

    /// Gives back every claim of a lane that ends.
    pub(super) async fn release_claims(&mut self) {
        let Some(claims) = self.claims.take() else { return };
        match tokio::time::timeout(LAST_SETTLEMENT, claims.release()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(lane = %self.id, "claims were not given back: {error}; they end with their lease"),
            Err(_) => tracing::warn!(lane = %self.id, "claims were not given back in time; they end with their lease"),
        }
    }
}
