//! What of a partition is finished, by offset. Pure: no clock, no broker.
//!
//! Only what was handed over exists here: transaction markers, compaction and aborted records leave holes, which are not waited for. The
//! mark never passes an open message. What earlier owners finished above it is known from what was committed.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::Ranges;

use super::blocked::Tried;

/// What becomes of an offset that the partition brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is to be handed over; it was handed over before, so often in a row, and nobody answered.
    Fresh { unanswered: u32 },
    /// It is finished, or was handed over already.
    Over,
}

/// The ends of what owners had in hand when they were lost: the offset behind the last, and how many of them there were.
pub(super) type Lost = Vec<(i64, u32)>;

/// What is known of messages that were tried and stayed in their places.
pub(super) type Tries = BTreeMap<i64, Tried>;

/// The messages of one partition.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Progress {
    /// Everything below it is finished.
    mark: i64,
    /// Handed over and not ended.
    open: BTreeSet<i64>,
    /// Ended above the mark. A hole between two that ended is of the same range: it is never waited for.
    ended: Ranges,
    /// Behind the last that was handed over.
    end: i64,
    /// What earlier owners finished at or above `end`.
    inherited: Ranges,
    lost: Lost,
    tries: Tries,
}

impl Progress {
    /// Begins at a mark, with what was finished above it and the ends of what was lost.
    pub(super) fn new(mark: i64, inherited: Ranges, lost: Lost) -> Self {
        Progress { mark, end: mark, inherited, lost, ..Progress::default() }
    }

    /// With what earlier owners tried.
    pub(super) fn with_tries(self, tries: Tries) -> Self {
        Progress { tries, ..self }
    }

    /// The message at that offset, which is open, was tried and stays in its place.
    pub(super) fn set_tried(&mut self, offset: i64, tried: Tried) {
        if self.open.contains(&offset) {
            self.tries.insert(offset, tried);
        }
    }

    /// What is known of messages that were tried.
    pub(super) fn tries(&self) -> &Tries {
        &self.tries
    }

    /// The offset of the next message that is not finished: what is committed.
    pub(super) fn mark(&self) -> i64 {
        self.mark
    }

    /// Behind the last message that came.
    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// Whether anything that was handed over is open.
    pub(super) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// How many ends of what was lost are known.
    pub(super) fn count_lost(&self) -> usize {
        self.lost.len()
    }

    /// Offsets from the mark to the end of all that is known to be finished.
    pub(super) fn span(&self) -> usize {
        let last = self.inherited.iter().last().map_or(self.end, |(_, last)| self.end.max(last.cast_signed()));
        usize::try_from(last - self.mark).unwrap_or(usize::MAX)
    }

    /// How many are open.
    pub(super) fn count_open(&self) -> usize {
        self.open.len()
    }

    /// What earlier owners finished above the mark, as far as it was not met again.
    pub(super) fn inherited(&self) -> &Ranges {
        &self.inherited
    }

    /// The partition brings that offset.
    pub(super) fn see(&mut self, offset: i64) -> Seen {
        if offset < self.end {
            return Seen::Over;
        }
        self.end = offset + 1;
        let finished = self.inherited.contains(offset.cast_unsigned());
        self.inherited.remove_up_to(offset.cast_unsigned());
        if finished {
            self.enter(offset);
            return Seen::Over;
        }
        self.open.insert(offset);
        let unanswered = self.lost.iter().filter(|(end, _)| offset < *end).map(|(_, times)| times).sum();
        Seen::Fresh { unanswered }
    }

    /// The message at that offset ended. `false`: it had ended before, or never was handed over.
    pub(super) fn finish(&mut self, offset: i64) -> bool {
        let was_open = self.open.remove(&offset);
        if was_open {
            self.tries.remove(&offset);
            self.enter(offset);
        }
        was_open
    }

    /// From the mark up to an offset there is nothing, unless something came from there.
    pub(super) fn skip(&mut self, from: i64, to: i64) {
        if self.open.is_empty() && self.mark == from && self.end == from {
            self.end = self.end.max(to);
            self.inherited.remove_up_to(self.end.cast_unsigned().saturating_sub(1));
            self.advance();
        }
    }

    /// Enters what ended, and moves the mark up to what is open.
    fn enter(&mut self, offset: i64) {
        // From the nearest that ended, unless an open one is between.
        let below = self.open.range(..offset).next_back().map_or(self.mark, |open| open + 1).cast_unsigned();
        let above = self.open.range(offset..).next().map_or(u64::MAX, |open| open.cast_unsigned());
        let at = offset.cast_unsigned();
        let from = self.ended.last_below(at).filter(|last| *last >= below).unwrap_or(at);
        let to = self.ended.first_above(at).filter(|first| *first < above).unwrap_or(at);
        self.ended.insert_range(from, to);
        self.advance();
    }

    fn advance(&mut self) {
        if self.open.is_empty() {
            self.skip_inherited();
        }
        self.mark = self.open.first().copied().unwrap_or(self.end);
        self.ended.remove_up_to(self.mark.cast_unsigned().saturating_sub(1));
        self.lost.retain(|(end, _)| *end > self.mark);
        // What was compacted away is not tried again.
        while self.tries.first_key_value().is_some_and(|(offset, _)| *offset < self.mark) {
            self.tries.pop_first();
        }
    }

    /// Nothing is in hand: what an earlier owner finished next is behind us.
    fn skip_inherited(&mut self) {
        let first = self.inherited.iter().next();
        if let Some((_, to)) = first.filter(|(from, _)| *from <= self.end.cast_unsigned()) {
            self.end = self.end.max(to.cast_signed() + 1);
            self.inherited.remove_up_to(to);
        }
    }

    /// What is finished above the mark.
    pub(super) fn above(&self) -> Ranges {
        let mut above = self.ended.clone();
        self.inherited.iter().for_each(|(from, to)| above.insert_range(from, to));
        above
    }

    /// How many ranges that is at most.
    pub(super) fn gaps(&self) -> usize {
        self.ended.iter().len() + self.inherited.iter().len()
    }

    /// The ends of what was lost, with what is in hand now if `in_hand`: as the next owner finds them should nobody take them back.
    pub(super) fn lost(&self, in_hand: bool) -> Lost {
        let mut lost = self.lost.clone();
        if in_hand && self.is_open() {
            match lost.iter_mut().find(|(end, _)| *end == self.end) {
                Some((_, times)) => *times += 1,
                None => lost.push((self.end, 1)),
            }
            lost.sort_unstable();
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const FRESH: Seen = Seen::Fresh { unanswered: 0 };

    fn seen(offsets: &[i64]) -> Progress {
        let mut progress = Progress::new(3, Ranges::default(), Vec::new());
        offsets.iter().for_each(|offset| assert_eq!(progress.see(*offset), FRESH));
        progress
    }

    #[test]
    fn a_success_after_a_failure_does_not_move_the_mark_past_it() {
        let mut progress = seen(&[3, 4, 5]);
        assert!(progress.finish(4) && progress.finish(5));
        assert_eq!((progress.mark(), progress.above().iter().collect::<Vec<_>>()), (3, vec![(4, 5)]));
        assert!(progress.finish(3) && !progress.finish(3));
        assert_eq!((progress.mark(), progress.above().is_empty()), (6, true));
    }

    #[test]
    fn holes_are_not_waited_for() {
        let mut progress = seen(&[5, 9, 12]);
        progress.finish(9);
        assert_eq!(progress.mark(), 5, "the first is still open");
        progress.finish(5);
        assert_eq!(progress.mark(), 12);
        progress.finish(12);
        assert_eq!(progress.mark(), 13);
    }

    #[test]
    fn what_nobody_sees_behind_the_last_message_is_passed_unless_something_came_meanwhile() {
        let mut progress = seen(&[3]);
        progress.skip(3, 9);
        assert_eq!(progress.mark(), 3, "it is open");
        progress.finish(3);
        progress.skip(3, 9);
        assert_eq!(progress.mark(), 4, "that was looked at before");
        progress.skip(4, 9);
        assert_eq!((progress.mark(), progress.end()), (9, 9));
        assert_eq!(progress.see(9), FRESH);
    }

    #[test]
    fn what_ends_behind_a_slow_message_is_kept_as_one_range() {
        let every_third: Vec<i64> = (1..100_000).map(|i| i * 3).collect();
        let mut progress = seen(&every_third);
        every_third[1..].iter().for_each(|offset| assert!(progress.finish(*offset)));
        assert_eq!((progress.mark(), progress.gaps()), (3, 1));
        assert_eq!(progress.above().iter().collect::<Vec<_>>(), [(6, 299_997)]);
        assert!(progress.finish(3));
        assert_eq!((progress.mark(), progress.gaps()), (299_998, 0));
    }

    #[test]
    fn what_an_earlier_owner_finished_is_over() {
        let mut inherited = Ranges::default();
        inherited.insert_range(5, 7);
        let mut progress = Progress::new(4, inherited, Vec::new());
        assert_eq!([4, 5, 6, 7, 8].map(|offset| progress.see(offset)), [FRESH, Seen::Over, Seen::Over, Seen::Over, FRESH]);
        progress.finish(4);
        assert_eq!(progress.mark(), 8);
    }

    #[test]
    fn what_was_in_hand_when_its_owners_were_lost_is_counted() {
        let progress = seen(&[3, 4]);
        let mut next = Progress::new(3, Ranges::default(), progress.lost(true));
        assert_eq!([3, 4, 5].map(|offset| next.see(offset)), [Seen::Fresh { unanswered: 1 }, Seen::Fresh { unanswered: 1 }, FRESH]);
        let mut last = Progress::new(3, Ranges::default(), next.lost(true));
        assert_eq!([3, 5].map(|offset| last.see(offset)), [Seen::Fresh { unanswered: 2 }, Seen::Fresh { unanswered: 1 }]);
        last.finish(3);
        last.finish(5);
        assert_eq!(last.lost(true), [], "nothing of it is left");
    }

    proptest! {
        #[test]
        fn no_open_message_is_ever_passed_and_no_finished_one_forgotten(
            steps in proptest::collection::vec((1i64..4, any::<bool>(), 0usize..8), 1..60),
        ) {
            let mut progress = Progress::new(0, Ranges::default(), Vec::new());
            let (mut next, mut open, mut done) = (0, Vec::new(), BTreeSet::new());
            for (gap, sees, pick) in steps {
                if sees || open.is_empty() {
                    next += gap;
                    prop_assert_eq!(progress.see(next), FRESH);
                    open.push(next);
                } else {
                    let offset = open.remove(pick % open.len());
                    prop_assert!(progress.finish(offset));
                    done.insert(offset);
                }
                let above = progress.above();
                let is_over = |offset: i64| offset < progress.mark() || above.contains(offset.cast_unsigned());
                prop_assert!(open.iter().all(|offset| !is_over(*offset)), "open ones {:?} of {:?}", open, progress);
                prop_assert!(done.iter().all(|offset| is_over(*offset)), "done ones {:?} of {:?}", done, progress);
                let mut heir = Progress::new(progress.mark(), above, progress.lost(false));
                for offset in 0..=next {
                    if open.contains(&offset) {
                        prop_assert_ne!(heir.see(offset), Seen::Over);
                    } else if done.contains(&offset) {
                        prop_assert_eq!(heir.see(offset), Seen::Over);
                    }
                }
            }
        }
    }
}
