//! Messages that were lent before a lane began and not acknowledged: a host died over them, or a connection.
//!
//! They come again when their leases run out, and by then the lane would long have read what follows them. Where order is kept, it waits for
//! them instead: once they have come, or could have, what is new may follow. A living host that shares the consumer acknowledges its own, so
//! they never come; the wait ends all the same, with the longest lease that they can have had.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

/// After the end of a lease: the server looks for such once in a while.
const MARGIN: Duration = Duration::from_millis(300);

/// What a lane waits for.
pub(super) struct Before {
    /// The highest sequence that was ever lent.
    up_to: u64,
    /// How many were lent and not acknowledged.
    count: usize,
    came: HashSet<u64>,
    until: Instant,
}

impl Before {
    /// `count` messages up to that sequence may still be lent, for as long as a lease from now on.
    pub(super) fn new(up_to: u64, count: u64, lease: Duration, now: Instant) -> Option<Self> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        (count > 0).then(|| Before { up_to, count, came: HashSet::new(), until: now + lease + MARGIN })
    }

    /// Until when a message has to wait that came with that sequence; `None` when it may be handed over.
    pub(super) fn holds(&mut self, sequence: u64, now: Instant) -> Option<Instant> {
        if sequence <= self.up_to {
            self.came.insert(sequence);
            return None;
        }
        (self.came.len() < self.count && now < self.until).then_some(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_waits_until_all_before_it_have_come_or_the_lease_is_over() {
        let (now, lease) = (Instant::now(), Duration::from_secs(30));
        let mut before = Before::new(10, 2, lease, now).expect("two are out");
        assert_eq!(before.holds(11, now), Some(now + lease + MARGIN));
        assert_eq!(before.holds(9, now), None);
        assert!(before.holds(9, now).is_none() && before.holds(11, now).is_some(), "one that comes twice counts once");
        assert_eq!(before.holds(10, now), None);
        assert_eq!(before.holds(11, now), None);
        let mut before = Before::new(10, 2, lease, now).expect("two are out");
        assert_eq!(before.holds(11, now + lease + MARGIN), None);
        assert!(Before::new(10, 0, lease, now).is_none());
    }
}
