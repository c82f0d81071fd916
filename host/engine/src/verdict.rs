//! What becomes of each message of a call. Pure: the call's result and the policy in, verdicts out.

use std::time::Duration;

use longshore_core::{Crash, Done, Failure, Order, RetryPolicy};

use crate::backoff::retry_delay;
use crate::order::Picked;
use crate::random::Random;

/// Why a message is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeadReason {
    /// Its attempts are used up.
    Exhausted,
    /// The handler says that it can never succeed.
    Rejected,
    /// It failed and is older than the policy's `max-age`.
    Expired,
    /// Hosts died over it.
    Crashed,
    /// It is no message.
    Undecodable,
}

impl DeadReason {
    pub(crate) fn name(self) -> &'static str {
        match self {
            DeadReason::Exhausted => "exhausted",
            DeadReason::Rejected => "rejected",
            DeadReason::Expired => "expired",
            DeadReason::Crashed => "crashed",
            DeadReason::Undecodable => "undecodable",
        }
    }
}

/// What went wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// retry, reject, discard, snooze, trap, timeout, memory, output.
    pub(crate) class: &'static str,
    /// In the words of whoever said it.
    pub(crate) message: String,
}

/// What becomes of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Done: outputs leave, then it is acknowledged.
    Done,
    /// Not called, since it was done before.
    Duplicate,
    /// Forgotten on the handler's word.
    Discard(Fault),
    /// Back to the broker, to come again.
    Again {
        /// A floor.
        delay: Duration,
        /// Whether a try was used.
        counted: bool,
        /// Why.
        fault: Fault,
    },
    /// To the dead letters.
    Dead(DeadReason, Fault),
    /// Not settled: it waits in the lane again. `alone`: in a call of its own next time.
    Requeue {
        /// Whether it must not share its next call.
        alone: bool,
    },
}

/// What becomes of all messages of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdicts {
    /// Every one is done.
    AllDone,
    /// One each.
    Each(Vec<Verdict>),
    /// The host is in trouble: every one waits in the lane again, and the lane pauses.
    Host(String),
}

impl Verdicts {
    /// The message at `index` of `len` waits in the lane again, whatever was said of it.
    pub(crate) fn requeue(&mut self, index: usize, len: usize) {
        if *self == Verdicts::AllDone {
            *self = Verdicts::Each(vec![Verdict::Done; len]);
        }
        if let Verdicts::Each(each) = self
            && !matches!(each[index], Verdict::Requeue { .. })
        {
            each[index] = Verdict::Requeue { alone: false };
        }
    }
}

/// What a verdict depends on besides the call.
pub(crate) struct Judge<'a> {
    pub(crate) retry: &'a RetryPolicy,
    pub(crate) order: Order,
    /// At-most-once: nothing comes again, what would is given up.
    pub(crate) once: bool,
    /// Milliseconds since the Unix epoch.
    pub(crate) now: u64,
    pub(crate) random: &'a mut Random,
}

impl Judge<'_> {
    /// The verdicts on a call. `refused` lists, ascending, messages whose outputs cannot be published, and why.
    pub(crate) fn call(&mut self, picked: &Picked, result: &Result<Done, Crash>, refused: &[(u32, String)]) -> Verdicts {
        match result {
            Err(Crash::Host(what)) => Verdicts::Host(what.clone()),
            // Under at-most-once nobody knows which of them were handled: none is called again.
            Err(crash) if self.once || picked.len() == 1 => {
                Verdicts::Each((0..picked.len()).map(|i| self.crashed(picked, i, crash)).collect())
            }
            Err(_) => Verdicts::Each(vec![Verdict::Requeue { alone: true }; picked.len()]),
            Ok(done) if done.failures.is_empty() && refused.is_empty() && done.handled as usize == picked.len() => Verdicts::AllDone,
            Ok(done) => Verdicts::Each(self.answered(picked, done, refused)),
        }
    }

    /// The verdict on a message whose call gave no answer.
    fn crashed(&mut self, picked: &Picked, index: usize, crash: &Crash) -> Verdict {
        let fault = Fault { class: crash.class(), message: crash.to_string() };
        if matches!(crash, Crash::Timeout(_)) && self.retry.reject_timeouts {
            return Verdict::Dead(DeadReason::Rejected, fault);
        }
        self.failed(picked, index, None, fault)
    }

    fn answered(&mut self, picked: &Picked, done: &Done, refused: &[(u32, String)]) -> Vec<Verdict> {
        let (mut failures, mut refused) = (done.failures.iter().peekable(), refused.iter().peekable());
        let mut verdicts: Vec<Verdict> = Vec::with_capacity(picked.len());
        for i in 0..picked.len() {
            let at = u32::try_from(i).expect("a call is bounded far below 2^32");
            let said = failures.next_if(|(index, _)| *index == at).map(|(_, failure)| failure);
            let output = refused.next_if(|(index, _)| *index == at).map(|(_, why)| why);
            let untried = at >= done.handled || said.is_some_and(|failure| self.is_untried(picked, i, failure, &verdicts));
            let verdict = if untried || self.held_back(picked, i, &verdicts) {
                Verdict::Requeue { alone: false }
            } else {
                match (said, output) {
                    (Some(failure), _) => self.said(picked, i, failure),
                    (None, Some(why)) => self.output_refused(picked, i, why),
                    (None, None) => Verdict::Done,
                }
            };
            verdicts.push(verdict);
        }
        verdicts
    }

    /// Whether an earlier message of the call, which this one must not overtake, comes again.
    pub(crate) fn held_back(&self, picked: &Picked, index: usize, before: &[Verdict]) -> bool {
        self.follows(picked, index, before, |v| matches!(v, Verdict::Again { .. } | Verdict::Requeue { .. }))
    }

    /// Whether the guest, or what stands before it, did not try the message at all. An SDK holds back what follows a failed message of its
    /// key and can say so by a zero snooze alone; it does so for every failure, also one that is a dead letter now.
    fn is_untried(&self, picked: &Picked, index: usize, failure: &Failure, before: &[Verdict]) -> bool {
        match failure {
            Failure::NotTried => true,
            Failure::Snooze(delay) if delay.is_zero() => self.follows(picked, index, before, |v| *v != Verdict::Done),
            _ => false,
        }
    }

    /// Whether the message must not overtake an earlier one of the call with such a verdict.
    fn follows(&self, picked: &Picked, index: usize, before: &[Verdict], such: impl Fn(&Verdict) -> bool) -> bool {
        let key = |i: usize| picked.batch.row(picked.from + i).key();
        match self.order {
            Order::None => false,
            Order::Lane => before.iter().any(such),
            Order::Key => key(index).is_some() && before.iter().enumerate().any(|(i, v)| such(v) && key(i) == key(index)),
        }
    }

    fn said(&mut self, picked: &Picked, index: usize, failure: &Failure) -> Verdict {
        match failure {
            Failure::NotTried => Verdict::Requeue { alone: false },
            Failure::Retry(message) => self.failed(picked, index, None, Fault { class: "retry", message: message.clone() }),
            Failure::RetryAfter(delay, message) => {
                self.failed(picked, index, Some(*delay), Fault { class: "retry", message: message.clone() })
            }
            Failure::Reject(message) => Verdict::Dead(DeadReason::Rejected, Fault { class: "reject", message: message.clone() }),
            Failure::Discard(message) => Verdict::Discard(Fault { class: "discard", message: message.clone() }),
            Failure::Snooze(delay) => {
                let fault = Fault { class: "snooze", message: format!("the handler put it off for {delay:?}") };
                if self.once {
                    return Verdict::Dead(DeadReason::Exhausted, fault);
                }
                match self.time_left(picked, index) {
                    Some(left) => Verdict::Again { delay: left.min(*delay), counted: false, fault },
                    None => Verdict::Dead(DeadReason::Expired, fault),
                }
            }
        }
    }

    /// The verdict on a message that was done but for an output that cannot be published.
    pub(crate) fn output_refused(&mut self, picked: &Picked, index: usize, why: &str) -> Verdict {
        self.failed(picked, index, None, Fault { class: "output", message: why.into() })
    }

    /// The verdict on a failure that used an attempt.
    fn failed(&mut self, picked: &Picked, index: usize, not_before: Option<Duration>, fault: Fault) -> Verdict {
        let attempt = picked.batch.row(picked.from + index).attempt();
        if self.once || attempt >= self.retry.max_attempts {
            return Verdict::Dead(DeadReason::Exhausted, fault);
        }
        let Some(left) = self.time_left(picked, index) else {
            return Verdict::Dead(DeadReason::Expired, fault);
        };
        let share = self.random.share();
        // What the guest asks for is bounded by the message's age, what the policy says is not: a delay is never early.
        let delay = retry_delay(self.retry, attempt, share).max(not_before.unwrap_or_default().min(left));
        Verdict::Again { delay, counted: true, fault }
    }

    /// What is left of the message's `max-age`; `None` when it is over.
    fn time_left(&self, picked: &Picked, index: usize) -> Option<Duration> {
        let age = self.now.saturating_sub(picked.batch.row(picked.from + index).timestamp());
        self.retry.max_age.checked_sub(Duration::from_millis(age)).filter(|left| left.as_millis() > 0)
    }
}

#[cfg(test)]
mod tests;
