//! How long to wait: between the tries of a message, and between the tries of a host that is in trouble.

use std::time::Duration;

use longshore_core::{Backoff, RetryPolicy};

/// The wait after `failures` failures (from 1). `jitter` is a random share from 0 to 1 of the policy's own. Never below the policy's formula.
pub fn retry_delay(policy: &RetryPolicy, failures: u32, jitter: f64) -> Duration {
    let n = failures.max(1);
    let base = policy.initial_delay.as_secs_f64();
    let seconds = match policy.backoff {
        Backoff::Fixed => base,
        Backoff::Linear => base * f64::from(n),
        Backoff::Exponential => base * policy.multiplier.powi(i32::try_from(n - 1).unwrap_or(i32::MAX)),
    };
    let capped = seconds.min(policy.max_delay.as_secs_f64());
    let total = capped * (1.0 + policy.jitter * jitter.clamp(0.0, 1.0));
    // Whole milliseconds, rounded up: brokers count in them, and a delay is a floor.
    Duration::from_millis((total * 1000.0).ceil().max(0.0) as u64)
}

/// Waits of a host in trouble: `initial`, doubling up to `max`, from the start again after a success, and when it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconnect {
    /// The first wait.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
    /// How often in a row it tries again; `None`: without end.
    pub attempts: Option<u32>,
}

impl Default for Reconnect {
    fn default() -> Self {
        Reconnect::without_end(Duration::from_secs(1), Duration::from_secs(30))
    }
}

impl Reconnect {
    /// Waits of somebody who never gives up.
    pub const fn without_end(initial: Duration, max: Duration) -> Self {
        Reconnect { initial, max, attempts: None }
    }

    /// Whether that many failures in a row, the first included, are enough.
    pub fn is_over(self, failures: u32) -> bool {
        self.attempts.is_some_and(|attempts| failures > attempts)
    }

    /// The wait after that many failures in a row, from 1.
    pub fn delay(self, failures: u32) -> Duration {
        self.initial.saturating_mul(1 << (failures.max(1) - 1).min(20)).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(backoff: Backoff) -> RetryPolicy {
        RetryPolicy {
            backoff,
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(10),
            jitter: 0.0,
            ..RetryPolicy::default()
        }
    }

    #[test]
    fn waits_follow_the_formulas() {
        let waits = |backoff| (1..=6).map(|n| retry_delay(&policy(backoff), n, 0.5).as_secs()).collect::<Vec<_>>();
        assert_eq!(waits(Backoff::Fixed), [1, 1, 1, 1, 1, 1]);
        assert_eq!(waits(Backoff::Linear), [1, 2, 3, 4, 5, 6]);
        assert_eq!(waits(Backoff::Exponential), [1, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn a_host_in_trouble_waits_longer_each_time() {
        let reconnect = Reconnect::default();
        assert_eq!([1, 2, 3, 6, 900].map(|n| reconnect.delay(n).as_secs()), [1, 2, 4, 30, 30]);
    }

    proptest! {
        #[test]
        fn a_delay_is_never_early(n in 1u32..200, d in 0u64..100_000, m in 1.0f64..10.0, cap in 0u64..1_000_000, jitter in 0.0f64..1.0, share in 0.0f64..1.0) {
            let policy = RetryPolicy {
                initial_delay: Duration::from_millis(d),
                multiplier: m,
                max_delay: Duration::from_millis(cap),
                jitter,
                ..RetryPolicy::default()
            };
            let floor = (d as f64 * m.powi(n as i32 - 1)).min(cap as f64);
            let delay = retry_delay(&policy, n, share).as_millis() as f64;
            prop_assert!(delay >= floor, "{delay} < {floor}");
            prop_assert!(delay <= (floor * (1.0 + jitter)).ceil() + 1.0, "{delay} far above {floor}");
        }
    }
}
