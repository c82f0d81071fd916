//! Settlements of a lane: one at a time, the next one made of everything that ended meanwhile.

use std::sync::Arc;

use longshore_core::{Acks, Batch, BoxFuture, BrokerError, Fix, Handler, Outputs};
use tokio::time::Instant;

use crate::order::Picked;
use crate::round::{NotSettled, Record, Refusal, Round};
use crate::verdict::{Verdict, Verdicts};

use super::{LaneTask, Phase, SPARE_BATCHES, TROUBLE};

/// The one settlement of a lane.
pub(super) enum Settlement {
    /// None.
    Idle,
    /// It is with the broker; given up at that time.
    Under(BoxFuture<'static, Settling>, Option<Instant>),
    /// It failed and is tried again at that time.
    Later(Box<Round>, Instant),
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
        match self {
            Settlement::Under(future, _) => {
                let settling = future.await;
                *self = Settlement::Idle;
                settling
            }
            Settlement::Idle | Settlement::Later(..) => std::future::pending().await,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Settlement::Idle)
    }

    /// When the lane has to look at it again.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        match self {
            Settlement::Later(_, at) => Some(*at),
            Settlement::Under(_, give_up) => *give_up,
            Settlement::Idle => None,
        }
    }

    pub(super) fn give_up_at(&mut self, at: Instant) {
        if let Settlement::Under(_, give_up) = self {
            *give_up = Some(at);
        }
    }

    pub(super) fn is_given_up(&self) -> bool {
        match self {
            Settlement::Under(_, give_up) => give_up.is_some_and(|at| Instant::now() >= at),
            Settlement::Later(..) => true,
            Settlement::Idle => false,
        }
    }
}

impl<H: Handler> LaneTask<H> {
    /// Starts the next settlement, if there is something to settle and none is under way.
    pub(super) fn start_settling(&mut self) {
        let round = match std::mem::replace(&mut self.settlement, Settlement::Idle) {
            Settlement::Idle if !self.pending.is_empty() => {
                let mut round = Box::new(Round::new(std::mem::take(&mut self.pending)));
                round.build(&self.shared.policy, &mut self.ledger, self.shared.clock.now());
                round
            }
            Settlement::Later(round, at) if Instant::now() >= at => round,
            Settlement::Idle => return self.extend_leases(),
            other => {
                self.settlement = other;
                return;
            }
        };
        self.settle(round);
    }

    fn settle(&mut self, mut round: Box<Round>) {
        let Some(mut acks) = self.acks.take() else { return };
        let shared = Arc::clone(&self.shared);
        let future = Box::pin(async move {
            let result = round.settle(acks.as_mut(), &shared.policy).await;
            Settling { acks, round: Some(round), result }
        });
        self.settlement = Settlement::Under(future, self.last_chance());
    }

    fn last_chance(&self) -> Option<Instant> {
        (self.phase == Phase::Closing).then(|| Instant::now() + super::LAST_SETTLEMENT)
    }

    /// Extends the leases of everything that is held, every third of a lease.
    fn extend_leases(&mut self) {
        let (Some(at), Some(lease)) = (self.next_extension, self.shared.policy.lease) else { return };
        if Instant::now() < at || self.phase == Phase::Closing {
            return;
        }
        self.next_extension = Some(Instant::now() + lease / 3);
        let held = self.held_receipts();
        let Some(mut acks) = self.acks.take().filter(|_| !held.is_empty()) else { return };
        let future = Box::pin(async move {
            let result = acks.extend(&held).await.map_err(NotSettled::Source);
            Settling { acks, round: None, result }
        });
        self.settlement = Settlement::Under(future, None);
    }

    /// A settlement came back.
    pub(super) fn settled(&mut self, settling: Settling) -> Result<(), BrokerError> {
        self.acks = Some(settling.acks);
        let Some(round) = settling.round else { return self.extended(settling.result) };
        match settling.result {
            Ok(()) => self.round_is_settled(*round),
            Err(NotSettled::Refused(refusals)) => self.settle_without(round, &refusals),
            Err(NotSettled::Source(error)) if error.fix != Fix::Retry => return Err(error),
            Err(NotSettled::Source(error) | NotSettled::Publish(error)) => {
                self.trouble("settle", &error.what);
                self.settlement = Settlement::Later(round, Instant::now() + TROUBLE.delay(self.troubles));
            }
        }
        Ok(())
    }

    fn extended(&mut self, result: Result<(), NotSettled>) -> Result<(), BrokerError> {
        match result {
            Err(NotSettled::Source(error)) if error.fix != Fix::Retry => Err(error),
            Err(NotSettled::Source(error)) => {
                self.trouble("extend leases", &error.what);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Messages whose outputs were refused fail; the round goes without their outputs.
    fn settle_without(&mut self, mut round: Box<Round>, refusals: &[Refusal]) {
        for refusal in refusals {
            let picked = round.records[refusal.record].picked.clone();
            let verdict = self.judge().output_refused(&picked, refusal.index, &refusal.why);
            if let Verdict::Again { delay, .. } = &verdict {
                self.send_away_late(&picked, refusal.index, *delay);
            }
            round.records[refusal.record].set_verdict(refusal.index, verdict);
        }
        round.build(&self.shared.policy, &mut self.ledger, self.shared.clock.now());
        self.settle(round);
    }

    fn send_away_late(&mut self, picked: &Picked, index: usize, delay: std::time::Duration) {
        let due = self.shared.clock.now() + u64::try_from(delay.as_millis()).unwrap_or(u64::MAX / 2);
        self.queue.away(picked, index, due);
    }

    fn round_is_settled(&mut self, round: Round) {
        self.recovered();
        for record in round.records {
            self.count(&record);
            match record.before_call {
                Some(first) => self.enqueue(Arc::clone(&record.picked.batch), first),
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
        if !record.outputs.is_empty() {
            metrics.published(&self.shared.policy.info.broker, "ok", record.outputs.len() as u64);
        }
        let Verdicts::Each(each) = &record.verdicts else {
            metrics.done(record.picked.len() as u64);
            return status.count(record.picked.len() as u64, 0, 0, 0);
        };
        for verdict in each {
            match verdict {
                Verdict::Done => {
                    metrics.done(1);
                    status.count(1, 0, 0, 0);
                }
                Verdict::Again { fault, .. } => {
                    metrics.retried(fault.class);
                    status.count(0, 1, 0, 0);
                }
                Verdict::Dead(reason, fault) => {
                    metrics.dead(reason.name(), fault.class);
                    status.count(0, 0, 1, 0);
                }
                Verdict::Discard(_) => {
                    metrics.discarded();
                    status.count(0, 0, 0, 1);
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
        let ended = (0..picked.len()).filter(|i| !matches!(record.verdict(*i), Verdict::Requeue { .. }));
        let (messages, bytes) = ended.fold((0, 0), |(n, bytes), i| (n + 1, bytes + picked.batch.row(picked.from + i).size()));
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
}
