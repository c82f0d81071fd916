//! The circuit breaker of a subscription: after so many failures in a row consuming pauses, then one message is let through. Pure.

use longshore_core::Breaker;

/// What the breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Nothing, until that time in milliseconds since the Unix epoch.
    Open(u64),
    /// One message, which decides.
    HalfOpen,
}

/// Failures in a row, and what follows.
#[derive(Debug)]
pub(crate) struct Circuit {
    policy: Option<Breaker>,
    failures: u32,
    state: BreakerState,
    /// Whether the one message of a half-open breaker is out.
    probing: bool,
}

/// How much may be called now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permit {
    Any,
    /// One message, and [`Circuit::probe`] is told.
    One,
    /// Nothing before that time; nothing before the probe's end where it is `None`.
    Nothing(Option<u64>),
}

impl Circuit {
    pub(crate) fn new(policy: Option<Breaker>) -> Self {
        Circuit { policy, failures: 0, state: BreakerState::Closed, probing: false }
    }

    /// The state at `now`, milliseconds since the Unix epoch.
    pub(crate) fn state(&mut self, now: u64) -> BreakerState {
        if let BreakerState::Open(until) = self.state
            && now >= until
        {
            self.state = BreakerState::HalfOpen;
        }
        self.state
    }

    /// What may be called at `now`.
    pub(crate) fn permit(&mut self, now: u64) -> Permit {
        match self.state(now) {
            BreakerState::Closed => Permit::Any,
            BreakerState::Open(until) => Permit::Nothing(Some(until)),
            BreakerState::HalfOpen if self.probing => Permit::Nothing(None),
            BreakerState::HalfOpen => Permit::One,
        }
    }

    /// The one message of a half-open breaker is called (`true`), or came back without an answer (`false`).
    pub(crate) fn probe(&mut self, out: bool) {
        self.probing = out;
    }

    /// A message was done. Of one that was called before the breaker opened nothing follows: the probe alone decides.
    pub(crate) fn success(&mut self, probe: bool) {
        if self.state != BreakerState::Closed && !probe {
            return;
        }
        self.failures = 0;
        self.state = BreakerState::Closed;
    }

    /// A message failed in a way that may pass, or the host did. `true` when this opened the breaker.
    pub(crate) fn failure(&mut self, now: u64, probe: bool) -> bool {
        let Some(policy) = self.policy else { return false };
        self.failures = self.failures.saturating_add(1);
        let opens = match self.state {
            BreakerState::Closed => self.failures >= policy.threshold,
            BreakerState::HalfOpen => probe,
            BreakerState::Open(_) => false,
        };
        if opens {
            self.state = BreakerState::Open(now.saturating_add(u64::try_from(policy.reset_after.as_millis()).unwrap_or(u64::MAX)));
        }
        opens
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn circuit() -> Circuit {
        Circuit::new(Some(Breaker { threshold: 3, reset_after: Duration::from_secs(1) }))
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_does_not() {
        let mut c = circuit();
        assert!(!c.failure(0, false) && !c.failure(0, false));
        c.success(false);
        assert!(!c.failure(0, false) && !c.failure(0, false) && c.failure(0, false));
        assert_eq!(c.state(999), BreakerState::Open(1000));
    }

    #[test]
    fn half_open_one_message_decides() {
        let mut c = circuit();
        assert!(!c.failure(0, false) && !c.failure(0, false) && c.failure(0, false));
        assert_eq!(c.permit(1000), Permit::One);
        c.probe(true);
        assert_eq!(c.permit(1000), Permit::Nothing(None), "one at a time");
        assert!(c.failure(1000, true), "it opens again at once");
        assert_eq!(c.state(1500), BreakerState::Open(2000));
        assert_eq!(c.state(2000), BreakerState::HalfOpen);
        c.success(true);
        assert_eq!(c.state(2000), BreakerState::Closed);
    }

    #[test]
    fn half_open_only_the_probe_decides() {
        let mut c = circuit();
        assert!(!c.failure(0, false) && !c.failure(0, false) && c.failure(0, false));
        assert_eq!(c.permit(1000), Permit::One);
        c.probe(true);
        c.success(false);
        assert_eq!(c.permit(1000), Permit::Nothing(None), "a straggler's success closes nothing");
        assert!(!c.failure(1000, false), "nor does its failure open anything");
        assert_eq!(c.permit(1000), Permit::Nothing(None), "the probe is still out");
        c.success(true);
        assert_eq!(c.state(1000), BreakerState::Closed);
    }

    #[test]
    fn an_endless_reset_does_not_overflow() {
        let mut c = Circuit::new(Some(Breaker { threshold: 1, reset_after: Duration::MAX }));
        assert!(c.failure(1000, false));
        assert_eq!(c.state(2000), BreakerState::Open(u64::MAX));
    }

    #[test]
    fn a_straggler_does_not_close_an_open_breaker() {
        let mut c = circuit();
        assert!(!c.failure(0, false) && !c.failure(0, false) && c.failure(0, false));
        c.success(false);
        assert_eq!(c.state(999), BreakerState::Open(1000));
    }

    #[test]
    fn without_a_policy_it_never_opens() {
        let mut c = Circuit::new(None);
        assert!((0..1000).all(|_| !c.failure(0, false)));
    }
}
