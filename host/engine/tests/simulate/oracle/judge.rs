//! What an answer entitles to, by the words of the delivery semantics: written anew here, so that engine and oracle can disagree.

use longshore_core::{Backoff, Crash, Delivery, Failure, Order, RetryPolicy};
use longshore_testkit::scripted::Answer;

use super::{Known, Oracle};

/// What may be done with a message because of how it failed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Licence {
    /// It may come again, not before so many milliseconds, as that attempt.
    Again { delay: u64, attempt: u32 },
    /// It may be a dead letter with that reason, so many attempts used.
    Dead { reason: &'static str, attempt: u32 },
}

impl Licence {
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self, Licence::Dead { .. })
    }
}

/// What an answer says of one message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Says {
    Done,
    Discard,
    Failed(Licence),
    /// Nothing: it was not tried, or has to run again with an earlier one.
    Nothing,
}

impl Says {
    fn comes_again(&self) -> bool {
        matches!(self, Says::Nothing | Says::Failed(Licence::Again { .. }))
    }
}

/// The wait of the policy after that attempt failed, without jitter.
pub(crate) fn floor(retry: &RetryPolicy, attempt: u32) -> u64 {
    let (d, n) = (retry.initial_delay.as_millis() as f64, f64::from(attempt));
    let wait = match retry.backoff {
        Backoff::Fixed => d,
        Backoff::Linear => d * n,
        Backoff::Exponential => d * retry.multiplier.powf(n - 1.0),
    };
    wait.min(retry.max_delay.as_millis() as f64) as u64
}

impl Known {
    fn failed(&self, now: u64, appended_at: u64, attempt: u32, at_least: u64) -> Licence {
        if self.delivery == Delivery::AtMostOnce || attempt >= self.retry.max_attempts {
            Licence::Dead { reason: "exhausted", attempt }
        } else if u128::from(now - appended_at) >= self.retry.max_age.as_millis() {
            Licence::Dead { reason: "expired", attempt }
        } else {
            Licence::Again { delay: floor(&self.retry, attempt).max(at_least), attempt: attempt + 1 }
        }
    }

    fn said(&self, now: u64, appended_at: u64, attempt: u32, failure: &Failure) -> Says {
        let millis = |d: &std::time::Duration| d.as_millis() as u64;
        let left = || (self.retry.max_age.as_millis() as u64).saturating_sub(now - appended_at);
        match failure {
            Failure::NotTried => Says::Nothing,
            Failure::Discard(_) => Says::Discard,
            Failure::Reject(_) => Says::Failed(Licence::Dead { reason: "rejected", attempt }),
            Failure::Retry(_) => Says::Failed(self.failed(now, appended_at, attempt, 0)),
            Failure::RetryAfter(delay, _) => Says::Failed(self.failed(now, appended_at, attempt, millis(delay).min(left()))),
            Failure::Snooze(delay) => match self.failed(now, appended_at, 0, 0) {
                Licence::Again { .. } => Says::Failed(Licence::Again { delay: millis(delay).min(left()), attempt }),
                Licence::Dead { reason, .. } => Says::Failed(Licence::Dead { reason, attempt }),
            },
        }
    }
}

impl Oracle {
    /// What the answer says of each message of a call.
    pub(crate) fn judge(&self, now: u64, messages: &[(u32, u32)], answer: &Result<Answer, Crash>) -> Vec<Says> {
        let (known, once) = (self.known(), self.known().delivery == Delivery::AtMostOnce);
        let appended_at = |message: u32| self.messages[&message].appended_at;
        let answer = match answer {
            Ok(answer) => answer,
            Err(Crash::Timeout(_)) if (once || messages.len() == 1) && known.retry.reject_timeouts => {
                let dead = |attempt| Says::Failed(Licence::Dead { reason: "rejected", attempt });
                return messages.iter().map(|(_, attempt)| dead(*attempt)).collect();
            }
            Err(Crash::Host(_)) => return vec![Says::Nothing; messages.len()],
            Err(_) if messages.len() > 1 && !once => return vec![Says::Nothing; messages.len()],
            Err(_) => return messages.iter().map(|(m, attempt)| Says::Failed(known.failed(now, appended_at(*m), *attempt, 0))).collect(),
        };
        let mut says: Vec<Says> = Vec::new();
        for (i, (message, attempt)) in (0u32..).zip(messages) {
            let failure = answer.failures.iter().find(|(at, _)| *at == i).map(|(_, f)| f);
            let behind = |such: &dyn Fn(&Says) -> bool| {
                says.iter().zip(messages).any(|(s, (earlier, _))| such(s) && self.share_order(*earlier, *message))
            };
            // An SDK says by a zero snooze that it held a message back.
            let untried = matches!(failure, Some(Failure::Snooze(d)) if d.is_zero()) && behind(&|s| *s != Says::Done);
            let held_back = untried || behind(&Says::comes_again);
            says.push(match failure {
                _ if i >= answer.handled || held_back => Says::Nothing,
                Some(failure) => known.said(now, appended_at(*message), *attempt, failure),
                None => Says::Done,
            });
        }
        says
    }

    /// Whether the order of two messages of one partition matters.
    pub(crate) fn share_order(&self, one: u32, other: u32) -> bool {
        let (one, other) = (&self.messages[&one], &self.messages[&other]);
        match self.known().order {
            Order::None => false,
            Order::Lane => one.partition == other.partition,
            Order::Key => one.partition == other.partition && one.key.is_some() && one.key == other.key,
        }
    }
}
