//! How long whoever is first in line waits between two tries, when nobody here says that the lock is free. Pure.

use std::hash::BuildHasher;
use std::time::Duration;

use foldhash::fast::RandomState;

/// The shortest wait; each is twice the one before.
const SHORTEST: Duration = Duration::from_millis(2);
/// The longest one.
pub(super) const LONGEST: Duration = Duration::from_millis(64);

/// The waits of one claim.
#[derive(Default)]
pub(super) struct Pace {
    tries: u32,
    /// Its numbers are this claim's alone, so that hosts that began together do not go on together.
    dice: RandomState,
}

impl Pace {
    /// The next wait: somewhere in the upper half of it; no longer than the lease that is in the way has `left`, and a moment.
    pub(super) fn next(&mut self, left: Duration) -> Duration {
        let whole = SHORTEST.saturating_mul(1 << self.tries.min(16)).min(LONGEST);
        self.tries += 1;
        let dice = self.dice.hash_one(self.tries) >> 11;
        let wait = whole.mul_f64(0.5 + dice as f64 / (1_u64 << 54) as f64);
        wait.min(left.saturating_add(Duration::from_millis(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_never_past_the_end_of_the_lease() {
        let mut pace = Pace::default();
        for most in [2, 4, 8, 16, 32, 64, 64, 64] {
            let (wait, most) = (pace.next(Duration::MAX), Duration::from_millis(most));
            assert!(wait >= most / 2 && wait <= most, "{wait:?} of {most:?}");
        }
        assert_eq!(pace.next(Duration::ZERO), Duration::from_millis(1));
        let waits: std::collections::BTreeSet<_> = (0..20).map(|_| Pace { tries: 9, ..Pace::default() }.next(LONGEST)).collect();
        assert!(waits.len() > 10, "each claim has its own");
    }
}
