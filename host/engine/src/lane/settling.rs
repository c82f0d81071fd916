//! Settlements of a lane: one at a time, the next one made of everything that ended meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use longshore_core::{Acks, Batch, BoxFuture, BrokerError, Fix, Handler, Outputs};
use tokio::time::Instant;

use crate::order::Picked;
use crate::round::{NotSettled, Record, Refusal, Round};
use crate::status::Ended;
use crate::verdict::{Verdict, Verdicts};

use super::trouble::Doing;
use super::{LAST_SETTLEMENT, LaneTask, Phase, SPARE_BATCHES, after};

/// The settlements of a lane: at most one with the broker, and at most one that failed and waits.
#[derive(Default)]
pub(super) struct Settlement {
    under: Option<Under>,
    /// It is tried again at that time.
    later: Option<(Box<Round>, Instant)>,
}

/// What is with the broker.
struct Under {
    future: BoxFuture<'static, Settling>,
    /// When the lane waits no longer for it.
    give_up: Option<Instant>,
    /// Lowest sequence number of its messages.
    oldest: Option<u64>,
}

/// A settlement that came back, with the acks that it borrowed.
pub(super) struct Settling {
    acks: Box<dyn Acks>,
    /// None for an extension of leases.
    round: Option<Box<Round>>,
    result: Result<(), NotSettled>,
}

impl Settlement {
    /// Ends when the settlement does; never while there is none.
    pub(super) async fn outcome(&mut self) -> Settling {
        let Some(under) = &mut self.under else { return std::future::pending().await };
        let settling = (&mut under.future).await;
        self.under = None;
        settling
    }

    pub(super) fn is_idle(&self) -> bool {
        self.under.is_none() && self.later.is_none()
    }

    /// When the lane has to look at it again.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        match &self.under {
            Some(under) => under.give_up,
            None => self.later.as_ref().map(|(_, at)| *at),
        }
    }

    pub(super) fn give_up_at(&mut self, at: Instant) {
        if let Some(under) = &mut self.under {
            under.give_up = Some(at);
        }
    }

    /// Whether a lane that is told to stop waits no longer: not for a broker in trouble, and not for ever.
    pub(super) fn is_given_up(&self) -> bool {
        match &self.under {
            Some(under) => under.give_up.is_some_and(|at| Instant::now() >= at),
            None => self.later.is_some(),
        }
    }

    /// Lowest sequence number of what is being settled or waits for it.
    pub(super) fn oldest(&self) -> Option<u64> {
        let under = self.under.as_ref().and_then(|under| under.oldest);
        let later = self.later.as_ref().and_then(|(round, _)| round.oldest());
        under.into_iter().chain(later).min()
    }

    /// What failed to be settled and waits.
    pub(super) fn waiting(&self) -> &[Record] {
        self.later.as_ref().map_or(&[], |(round, _)| &round.records)
    }
}

impl<H: Handler> LaneTask<H> {
    /// Gives the broker the next thing to do, unless it is at something: leases first, then what failed before, then what ended since.
    pub(super) fn start_settling(&mut self) {
        if self.settlement.under.is_some() || self.extend_leases() {
            return;
        }
        match self.settlement.later.take() {
            Some((round, at)) if Instant::now() >= at => self.settle(round),
            Some(later) => self.settlement.later = Some(later),
            None if self.pending.is_empty() => {}
            None => {
                let mut round = Box::new(Round::new(std::mem::take(&mut self.pending), &mut self.ledger));
                round.build(&self.shared.policy, self.claims.as_ref(), self.shared.clock.now());
                self.settle(round);
            }
        }
    }

    fn settle(&mut self, mut round: Box<Round>) {
        let mut acks = self.acks.take().expect("nothing is with the broker, so its acks are here");
        let (shared, oldest) = (Arc::clone(&self.shared), round.oldest());
        let future = Box::pin(async move {
            let result = round.settle(acks.as_mut(), &shared.policy).await;
            Settling { acks, round: Some(round), result }
        });
        let give_up = (self.phase == Phase::Closing).then(|| after(LAST_SETTLEMENT));
        self.settlement.under = Some(Under { future, give_up, oldest });
    }

    /// Extends the leases of everything that is held, every third of a lease. `true`: that is under way.
    fn extend_leases(&mut self) -> bool {
        let (Some(at), Some(lease)) = (self.next_extension, self.lease) else { return false };
        if Instant::now() < at || self.phase == Phase::Closing {
            return false;
        }
        self.next_extension = Some(after(lease / 3));
        let held = self.unsettled();
        if held.is_empty() {
            return false;
        }
        let mut acks = self.acks.take().expect("nothing is with the broker, so its acks are here");
        let future = Box::pin(async move {
            let result = acks.extend(&held).await.map_err(NotSettled::Source);
            Settling { acks, round: None, result }
        });
        self.settlement.under = Some(Under { future, give_up: None, oldest: None });
        true
    }

    /// A settlement came back.
    pub(super) fn settled(&mut self, settling: Settling) -> Result<(), BrokerError> {
        self.acks = Some(settling.acks);
        let Some(mut round) = settling.round else { return self.extended(settling.result) };
        self.count_sent(&mut round);
        match settling.result {
            Ok(()) => self.round_is_settled(*round),
            Err(NotSettled::Refused(refusals)) => self.settle_without(round, &refusals),
            // The lane is on its way out: that it settles nothing any more is nothing that the other lanes have to end for.
            Err(NotSettled::Source(error)) if error.fix != Fix::Retry && self.phase != Phase::Closing => return Err(error),
            Err(NotSettled::Source(error) | NotSettled::Publish(error)) => self.settle_later(round, &error.what),
            Err(NotSettled::Stuck(error)) => {
                tracing::error!(subscription = %self.shared.policy.info.name, lane = %self.id, "{error}");
                self.settle_later(round, &error.what);
            }
        }
        Ok(())
    }

    fn settle_later(&mut self, round: Box<Round>, what: &str) {
        let wait = self.trouble(Doing::Settle, what);
        self.settlement.later = Some((round, after(wait)));
    }

    /// Counts what really left, by the broker that it left through.
    fn count_sent(&self, round: &mut Round) {
        let policy = &self.shared.policy;
        for (route, messages) in round.take_sent() {
            if let Some(outlet) = policy.outlet(route).filter(|_| messages > 0) {
                outlet.published.fetch_add(messages, Ordering::Relaxed);
                self.shared.metrics.published(&outlet.broker, "ok", messages);
            }
        }
    }

    fn extended(&mut self, result: Result<(), NotSettled>) -> Result<(), BrokerError> {
        match result {
            Err(NotSettled::Source(error)) if error.fix != Fix::Retry && self.phase != Phase::Closing => Err(error),
            Err(NotSettled::Source(error)) => {
                self.trouble(Doing::ExtendLeases, &error.what);
                Ok(())
            }
            _ => {
                self.recovered(Doing::ExtendLeases);
                Ok(())
            }
        }
    }

    /// Messages whose outputs were refused fail; the round goes without their outputs.
    fn settle_without(&mut self, mut round: Box<Round>, refusals: &[Refusal]) {
        for refusal in refusals {
            match refusal {
                Refusal::Output { record, index, why } => self.output_refused(&mut round, *record, *index, why),
                Refusal::DeadLetter { record, index } => round.records[*record].shorten(*index),
            }
        }
        round.build(&self.shared.policy, self.claims.as_ref(), self.shared.clock.now());
        self.settle(round);
    }

    fn round_is_settled(&mut self, round: Round) {
        self.recovered(Doing::Settle);
        for record in round.records {
            self.count(&record);
            if let Some(claims) = &mut self.claims {
                claims.settled(&record);
            }
            match record.before_call {
                Some(first) => self.taken(&record, first),
                None => self.release_ended(&record),
            }
            self.recycle(record);
        }
    }

    /// Counts what became of a record's messages, and of their outputs.
    fn count(&self, record: &Record) {
        if record.before_call.is_some() {
            return;
        }
        let (metrics, status) = (&self.shared.metrics, &self.shared.status);
        let Verdicts::Each(each) = &record.verdicts else {
            metrics.done(record.picked.len() as u64);
            return status.count(Ended::Done, record.picked.len() as u64);
        };
        for verdict in each {
            match verdict {
                Verdict::Done => {
                    metrics.done(1);
                    status.count(Ended::Done, 1);
                }
                Verdict::Again { fault, .. } => {
                    metrics.retried(fault.class);
                    status.count(Ended::Retried, 1);
                }
                Verdict::Dead(reason, fault) => {
                    metrics.dead(reason.name(), fault.class);
                    status.count(Ended::Dead, 1);
                }
                Verdict::Duplicate => {
                    metrics.duplicate();
                    status.count(Ended::Duplicate, 1);
                }
                Verdict::Discard(_) => {
                    metrics.discarded();
                    status.count(Ended::Discarded, 1);
                }
                Verdict::Requeue { .. } => {}
            }
        }
    }

    fn release_ended(&mut self, record: &Record) {
        let picked = &record.picked;
        if record.verdicts == Verdicts::AllDone {
            return self.release(picked.len(), picked.batch.rows(picked.from, picked.to).len());
        }
        let (messages, bytes) = record.over().fold((0, 0), |(n, bytes), at| (n + 1, bytes + picked.batch.row(at).size()));
        self.release(messages, bytes);
    }

    /// Keeps a batch's memory for the next one, when nobody uses it any more.
    fn recycle(&mut self, record: Record) {
        if self.spare.len() < SPARE_BATCHES
            && let Ok(mut batch) = Arc::try_unwrap(record.picked.batch)
        {
            batch.clear();
            self.spare.push(batch);
        }
    }

    /// At-most-once: what was received is settled before it is called.
    pub(super) fn acknowledge_first(&mut self, batch: Arc<Batch>, first: u64) {
        for i in 0..batch.len() {
            self.ledger.finish(first + i as u64);
        }
        let picked = Picked::run(Arc::clone(&batch), 0, batch.len(), first);
        let mut record = Record::new(picked, Verdicts::AllDone, Outputs::default(), true);
        record.before_call = Some(first);
        self.pending.push(record);
    }

    /// At-most-once: what was settled waits for its call, but for what another host has.
    fn taken(&mut self, record: &Record, first: u64) {
        let batch = &record.picked.batch;
        let mut from = 0;
        for lost in &record.lost {
            self.enqueue(batch, from..*lost, first);
            self.shared.metrics.stale.inc();
            self.release(1, batch.row(*lost).size());
            from = lost + 1;
        }
        self.enqueue(batch, from..batch.len(), first);
        if !record.lost.is_empty() {
            let (subscription, lost) = (&self.shared.policy.info.name, record.lost.len());
            tracing::warn!(%subscription, lane = %self.id, lost, "not called: others have the messages, or the answer that we have them was lost");
        }
    }
}
