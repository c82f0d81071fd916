//! Calls of a lane: when one starts, with what, and what its end means.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Batch, Call, Claimed, Crash, Delivery, Done, Facts, Handler, Outputs};
use tokio::time::Instant;

use crate::breaker::{BreakerState, Permit as Pass};
use crate::order::Picked;
use crate::outputs;
use crate::round::Record;
use crate::verdict::{DeadReason, Fault, Judge, Verdict, Verdicts};

use super::claims::NotAsked;
use super::trouble::Doing;
use super::{LaneTask, Permit, Phase, after};

/// A call that runs.
pub(super) struct Running {
    pub(super) picked: Picked,
    /// What was taken for it, where the dedup inbox let only a part of that through.
    whole: Option<Picked>,
    started: Instant,
    /// Whether it is the one that a half-open breaker let through.
    probe: bool,
}

/// A part of a call that ended.
pub(super) struct Finished {
    id: u64,
    part: Part,
}

enum Part {
    /// The dedup inbox answered.
    Claimed(Result<Vec<Claimed>, NotAsked>, Permit),
    /// The handler did.
    Answered(Result<Done, Crash>),
}

impl<H: Handler> LaneTask<H> {
    /// Starts as many calls as may start now. `true`: one more could, if it had a permit.
    pub(super) fn start_calls(&mut self) -> bool {
        loop {
            if !self.may_call() {
                return false;
            }
            match self.shared.calls.clone().try_acquire_owned() {
                Ok(permit) => self.start_call(permit),
                Err(_) => return true,
            }
        }
    }

    fn may_call(&mut self) -> bool {
        let ready = self.queue.ready();
        if ready == 0 {
            self.holding_back = None;
            return false;
        }
        let stopped = match self.phase {
            Phase::Running => self.shared.gate.is_paused(),
            // What was settled before its call cannot be handed back.
            Phase::Draining => self.shared.policy.delivery == Delivery::AtLeastOnce,
            Phase::Closing => true,
        };
        if stopped || self.resting() {
            return false;
        }
        if let Some(wait) = self.sizing.hold_back(ready)
            && Instant::now() < *self.holding_back.get_or_insert_with(|| after(wait))
        {
            return false;
        }
        !matches!(self.shared.circuit().permit(self.shared.clock.now()), Pass::Nothing(_))
    }

    /// Starts one call. The permit goes with it.
    pub(super) fn start_call(&mut self, permit: Permit) {
        if !self.may_call() {
            return;
        }
        let mut circuit = self.shared.circuit();
        let probe = circuit.permit(self.shared.clock.now()) == Pass::One;
        let most = if probe { 1 } else { self.sizing.next(self.queue.ready(), self.shared.calls.available_permits() + 1) };
        let Some(picked) = self.queue.pick(most) else { return };
        if probe {
            circuit.probe(true);
        }
        drop(circuit);
        self.holding_back = None;
        let id = self.next_call;
        self.next_call += 1;
        let asked = self.claims.as_mut().and_then(|claims| claims.ask(&picked));
        let running = Running { picked, whole: None, started: Instant::now(), probe };
        match asked {
            Some(asked) => {
                self.running.insert(id, running);
                self.calls.push(Box::pin(async move { Finished { id, part: Part::Claimed(asked.await, permit) } }));
            }
            None => self.call(id, running, permit),
        }
    }

    fn call(&mut self, id: u64, running: Running, permit: Permit) {
        let call = Call {
            batch: running.picked.batch.clone(),
            from: running.picked.from,
            to: running.picked.to,
            subscription: self.shared.policy.info.clone(),
            partition: self.partition,
        };
        self.running.insert(id, Running { started: Instant::now(), ..running });
        let handler = Arc::clone(&self.shared.handler);
        self.calls.push(Box::pin(async move {
            let result = handler.handle(call).await;
            drop(permit);
            Finished { id, part: Part::Answered(result) }
        }));
    }

    /// A part of a call ended.
    pub(super) fn finished(&mut self, finished: Finished) {
        match finished.part {
            Part::Answered(result) => self.answered(finished.id, result),
            Part::Claimed(Ok(answers), permit) => self.claimed(finished.id, &answers, permit),
            Part::Claimed(Err(NotAsked { error, over }), _) => {
                if let Some(claims) = &mut self.claims {
                    claims.still_over(over);
                }
                self.answered(finished.id, Err(Crash::Host(error.to_string())));
            }
        }
    }

    /// The dedup inbox answered: what it lets through is called, duplicates are settled, the rest waits.
    fn claimed(&mut self, id: u64, answers: &[Claimed], permit: Permit) {
        let Some(mut running) = self.running.remove(&id) else { return };
        let (called, refused, verdicts) = self.sort_claimed(&running.picked, answers);
        if !refused.is_empty() {
            let (refused, verdicts) = (running.picked.only(&refused), Verdicts::Each(verdicts));
            self.apply(&refused, &verdicts);
            self.pending.push(Record::new(refused, verdicts, Outputs::default(), true));
        }
        if called.is_empty() {
            self.count_for_breaker(&Verdicts::Each(Vec::new()), running.probe);
            self.queue.close(&running.picked);
            return self.forget_replaced();
        }
        if called.len() < running.picked.len() {
            let part = running.picked.only(&called);
            running.whole = Some(std::mem::replace(&mut running.picked, part));
        }
        self.call(id, running, permit);
    }

    /// The handler answered, or did not.
    fn answered(&mut self, id: u64, result: Result<Done, Crash>) {
        let Some(Running { picked, whole, started, probe }) = self.running.remove(&id) else { return };
        let elapsed = started.elapsed();
        let handled = result.as_ref().map_or(picked.len(), |done| done.handled as usize);
        self.sizing.observe(handled, elapsed);
        self.shared.metrics.called(picked.len(), elapsed);
        let shared = Arc::clone(&self.shared);
        let refused = match &result {
            Ok(done) if !done.outputs.is_empty() => outputs::refused(&done.outputs, &picked, &shared.policy),
            _ => Vec::new(),
        };
        let mut verdicts = self.judge().call(&picked, &result, &refused);
        self.recall_answered(&picked, &mut verdicts);
        self.count_for_breaker(&verdicts, probe);
        self.apply(&picked, &verdicts);
        self.queue.close(whole.as_ref().unwrap_or(&picked));
        self.forget_replaced();
        if let Verdicts::Host(what) = &verdicts {
            self.trouble(Doing::Handle, what);
            return;
        }
        self.recovered(Doing::Handle);
        let outputs = result.map(|done| done.outputs).unwrap_or_default();
        let acknowledge = shared.policy.delivery == Delivery::AtLeastOnce;
        self.pending.push(Record::new(picked, verdicts, outputs, acknowledge));
    }

    pub(super) fn judge(&mut self) -> Judge<'_> {
        Judge {
            retry: &self.shared.policy.retry,
            order: self.shared.policy.order(),
            once: self.shared.policy.delivery == Delivery::AtMostOnce,
            now: self.shared.clock.now(),
            random: &mut self.random,
        }
    }

    /// Tells ledger and queue what became of a call's messages. Backwards, so that those that wait again keep their order.
    fn apply(&mut self, picked: &Picked, verdicts: &Verdicts) {
        match verdicts {
            Verdicts::AllDone => (0..picked.len()).for_each(|i| self.end(picked, i)),
            Verdicts::Host(_) => {
                self.let_claims_go(picked, |_| true);
                (0..picked.len()).rev().for_each(|i| self.queue.requeue(picked, i, picked.alone));
            }
            Verdicts::Each(each) => {
                self.let_claims_go(picked, |i| matches!(each[i], Verdict::Requeue { .. }));
                for (i, verdict) in each.iter().enumerate().rev() {
                    self.log(picked, i, verdict);
                    match verdict {
                        Verdict::Requeue { alone } => self.queue.requeue(picked, i, *alone),
                        Verdict::Again { delay, .. } => self.send_away(picked, i, *delay),
                        Verdict::Done | Verdict::Duplicate | Verdict::Discard(_) | Verdict::Dead(..) => self.end(picked, i),
                    }
                }
            }
        }
    }

    pub(super) fn end(&mut self, picked: &Picked, index: usize) {
        let first_time = self.ledger.finish(picked.seq(index));
        if !first_time && self.shared.policy.delivery == Delivery::AtLeastOnce {
            self.shared.metrics.stale.inc();
        }
    }

    /// The message goes back to the broker, and holds its key until it comes again.
    fn send_away(&mut self, picked: &Picked, index: usize, delay: Duration) {
        self.queue.away(picked, index, self.due(delay));
        self.end(picked, index);
    }

    /// When a message comes again that goes back to the broker now, milliseconds since the Unix epoch.
    pub(super) fn due(&self, delay: Duration) -> u64 {
        self.shared.clock.now().saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
    }

    fn count_for_breaker(&mut self, verdicts: &Verdicts, probe: bool) {
        let now = self.shared.clock.now();
        let mut circuit = self.shared.circuit();
        let before = circuit.state(now);
        let mut opened = false;
        match verdicts {
            Verdicts::AllDone => circuit.success(probe),
            Verdicts::Host(_) => opened = circuit.failure(now, probe),
            Verdicts::Each(each) => {
                for verdict in each {
                    match verdict {
                        Verdict::Done => circuit.success(probe),
                        Verdict::Again { counted: true, .. } | Verdict::Dead(DeadReason::Exhausted | DeadReason::Expired, _) => {
                            opened |= circuit.failure(now, probe);
                        }
                        _ => {}
                    }
                }
            }
        }
        if probe {
            circuit.probe(false);
        }
        let state = circuit.state(now);
        drop(circuit);
        if probe || state != before {
            self.shared.moved.send();
        }
        self.shared.status.set_breaker(state);
        self.shared.metrics.breaker.set(match state {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open(_) => 2,
        });
        if opened {
            tracing::warn!(subscription = %self.shared.policy.info.name, "circuit breaker opened: consuming pauses");
        }
    }

    pub(super) fn breaker_lets_fetch(&self) -> bool {
        !matches!(self.shared.circuit().state(self.shared.clock.now()), BreakerState::Open(_))
    }

    pub(super) fn breaker_opens_at(&self) -> Option<Instant> {
        let now = self.shared.clock.now();
        match self.shared.circuit().state(now) {
            BreakerState::Open(until) => Some(after(Duration::from_millis(until.saturating_sub(now)))),
            _ => None,
        }
    }

    pub(super) fn log(&self, picked: &Picked, index: usize, verdict: &Verdict) {
        let info = &self.shared.policy.info;
        let row = picked.batch.row(picked.from + index);
        let (subscription, id, attempt) = (info.name.as_str(), row.id(), row.attempt());
        match verdict {
            Verdict::Again { delay, counted: true, fault } => {
                tracing::info!(subscription, id, attempt, class = fault.class, ?delay, "failed, comes again: {}", fault.message);
            }
            Verdict::Again { delay, fault, .. } => tracing::debug!(subscription, id, attempt, ?delay, "{}", fault.message),
            Verdict::Dead(reason, fault) => {
                let reason = reason.name();
                tracing::warn!(subscription, id, attempt, reason, class = fault.class, "dead letter: {}", fault.message);
            }
            Verdict::Discard(fault) => tracing::info!(subscription, id, attempt, "discarded: {}", fault.message),
            Verdict::Requeue { alone: true } => {
                tracing::info!(subscription, id, attempt, "its call crashed: it runs again alone, no attempt used");
            }
            Verdict::Duplicate => tracing::debug!(subscription, id, "a duplicate: it was done before"),
            Verdict::Done | Verdict::Requeue { .. } => {}
        }
    }

    /// A message over which hosts seem to die: it runs alone; if that brought no outcome either, it is given up.
    ///
    /// Hosts that died with several messages in their hands count one for each of them, and only one is guilty. So a lane gives up one at
    /// most: the first, which ran first and alone. If that was not it, the next one is first after the next crash.
    pub(super) fn enqueue_suspect(&mut self, batch: &Arc<Batch>, index: usize, seq: u64) {
        let Facts { unanswered, undecodable, .. } = batch.facts(index);
        if undecodable {
            let message = "what came is not written as a message, so no handler was called".into();
            return self.give_up(batch, index, seq, DeadReason::Undecodable, Fault { class: "undecodable", message });
        }
        if self.judged || unanswered <= self.shared.policy.max_deliveries {
            return self.queue.push(batch, index, index + 1, seq, true);
        }
        self.judged = true;
        let message = format!("handed over {unanswered} times and never answered: hosts died over it");
        self.give_up(batch, index, seq, DeadReason::Crashed, Fault { class: "crash", message });
    }

    /// A message that is dead before any call.
    fn give_up(&mut self, batch: &Arc<Batch>, index: usize, seq: u64, reason: DeadReason, fault: Fault) {
        let picked = Picked::run(batch.clone(), index, index + 1, seq);
        let verdict = Verdict::Dead(reason, fault);
        let acknowledge = self.shared.policy.delivery == Delivery::AtLeastOnce;
        self.log(&picked, 0, &verdict);
        self.queue.given_up(&picked, 0);
        self.end(&picked, 0);
        self.pending.push(Record::new(picked, Verdicts::Each(vec![verdict]), Outputs::default(), acknowledge));
    }

    /// The probe of a half-open breaker will not be answered: the calls were let go.
    pub(super) fn forget_probe(&mut self) {
        if self.running.values().any(|r| r.probe) {
            self.shared.circuit().probe(false);
            self.shared.moved.send();
        }
    }
}
