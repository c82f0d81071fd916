//! Messages that were lent before a lane began and not acknowledged: a host died over them, or a connection.
//!
//! They come again when their leases run out, each at a time of its own, and by then the lane would long have read what follows them. Where
//! order is kept it gathers them first. What a host gave back in good order is there at once; else it waits until the longest lease is over
//! that any of them can have, and gathers again. A living host that shares the consumer acknowledges its own, so they never come: the second
//! time, what has come is all.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// After the end of a lease: the server looks for such once in a while.
const MARGIN: Duration = Duration::from_millis(300);

/// What a lane waits for, and what of it has come. `M` is a message.
pub(super) struct Before<M> {
    /// The highest sequence that was ever lent.
    up_to: u64,
    /// How many were lent and not acknowledged.
    count: usize,
    /// When every lease is over.
    until: Instant,
    /// By sequence; new ones too.
    gathered: BTreeMap<u64, M>,
}

/// What is next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<M> {
    /// Ask for so many.
    Ask(usize),
    /// Give these back until that time, and then ask again.
    Rest(Vec<M>, Instant),
    /// In their order, these are what comes first.
    Go(Vec<M>),
}

impl<M> Before<M> {
    /// `count` messages up to that sequence may still be lent, for as long as a lease from now on. `None`: nothing is.
    pub(super) fn new(up_to: u64, count: u64, lease: Duration, now: Instant) -> Option<Self> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        (count > 0).then(|| Before { up_to, count, until: now + lease + MARGIN, gathered: BTreeMap::new() })
    }

    pub(super) fn came(&mut self, sequence: u64, message: M) {
        self.gathered.insert(sequence, message);
    }

    /// `quiet`: nothing more is there now.
    pub(super) fn next(&mut self, quiet: bool, now: Instant) -> Next<M> {
        let old = self.gathered.range(..=self.up_to).count();
        // The server hands out what it has to repeat before anything new.
        let no_more = quiet || self.gathered.len() > old;
        match (old >= self.count, no_more, now < self.until) {
            (false, false, _) => Next::Ask(self.count - old),
            (false, true, true) => Next::Rest(self.take(), self.until),
            (true, ..) | (_, true, false) => Next::Go(self.take()),
        }
    }

    fn take(&mut self) -> Vec<M> {
        std::mem::take(&mut self.gathered).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    fn before(count: u64, now: Instant) -> Before<u64> {
        Before::new(10, count, LEASE, now).expect("some are out")
    }

    fn gather(before: &mut Before<u64>, sequences: &[u64]) {
        sequences.iter().for_each(|sequence| before.came(*sequence, *sequence));
    }

    #[test]
    fn what_was_given_back_is_there_at_once_and_goes_on_in_order() {
        let now = Instant::now();
        let mut before = before(2, now);
        assert_eq!(before.next(false, now), Next::Ask(2));
        gather(&mut before, &[9]);
        assert_eq!(before.next(false, now), Next::Ask(1));
        gather(&mut before, &[7]);
        assert_eq!(before.next(false, now), Next::Go(vec![7, 9]));
    }

    #[test]
    fn nothing_new_goes_before_the_leases_of_what_is_older_are_over() {
        let now = Instant::now();
        let mut before = before(3, now);
        gather(&mut before, &[9, 11]);
        let over = now + LEASE + MARGIN;
        assert_eq!(before.next(false, now), Next::Rest(vec![9, 11], over));
        gather(&mut before, &[11, 9, 4]);
        assert_eq!(before.next(false, over), Next::Go(vec![4, 9, 11]), "another host may have the third");
    }

    #[test]
    fn when_nothing_comes_the_wait_ends_with_the_leases() {
        let now = Instant::now();
        let mut before = before(1, now);
        assert_eq!(before.next(true, now), Next::Rest(vec![], now + LEASE + MARGIN));
        assert_eq!(before.next(true, now + LEASE + MARGIN), Next::Go(vec![]));
        assert!(Before::<u64>::new(10, 0, LEASE, now).is_none());
    }
}
