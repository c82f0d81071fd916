//! Which received positions are finished. Pure: no clock, no broker.
//!
//! Only *received* positions exist here. Holes (transaction markers, compaction, aborted records) are not waited for. The cumulative mark
//! never passes an open position.

use std::collections::VecDeque;

use longshore_core::Ranges;

/// One delivery in the window.
#[derive(Debug, Clone, Copy)]
struct Slot {
    position: u64,
    open: bool,
    /// New to the lane. A redelivery ended once before: the broker holds it by itself, and the mark does not speak of it.
    fresh: bool,
}

/// The deliveries of one lane, numbered as they were received: a *sequence number* names a delivery within the lane.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Sequence number of the window's first slot.
    first: u64,
    window: VecDeque<Slot>,
    /// The mark: see [`up_to`](Self::up_to).
    mark: Option<u64>,
    /// Highest position received that was new to the lane.
    newest: Option<u64>,
    /// What earlier owners of the lane finished above the broker's mark.
    inherited: Ranges,
}

impl Ledger {
    /// A ledger for a lane of which `inherited` is finished already.
    pub(crate) fn new(inherited: Ranges) -> Self {
        Ledger { inherited, ..Ledger::default() }
    }

    /// A delivery came: answers its sequence number, one above the one before.
    ///
    /// A position that is not above all earlier ones, or that an earlier owner finished, is a redelivery (a retry that is due). It may come
    /// before fresh messages below it, so it never moves the mark.
    pub(crate) fn receive(&mut self, position: u64) -> u64 {
        let fresh = Some(position) > self.newest && !self.inherited.contains(position);
        if fresh {
            self.newest = Some(position);
        }
        self.window.push_back(Slot { position, open: true, fresh });
        self.first + self.window.len() as u64 - 1
    }

    /// A delivery ended. `false` when it had ended before: a stale settlement.
    pub(crate) fn finish(&mut self, seq: u64) -> bool {
        let Some(slot) = seq.checked_sub(self.first).and_then(|i| self.window.get_mut(usize::try_from(i).ok()?)) else {
            return false;
        };
        if !std::mem::replace(&mut slot.open, false) {
            return false;
        }
        while let Some(slot) = self.window.front().filter(|s| !s.open) {
            if slot.fresh {
                self.mark = self.mark.max(Some(slot.position));
            }
            self.window.pop_front();
            self.first += 1;
        }
        true
    }

    /// Sequence number of the oldest delivery that has not ended; the next one's where all have.
    pub(crate) fn oldest_open(&self) -> u64 {
        self.first
    }

    /// Everything received at or below it is finished, but for redeliveries. `None` as long as nothing is.
    pub(crate) fn up_to(&self) -> Option<u64> {
        self.mark
    }

    /// Everything that is finished above the mark, into `above`.
    pub(crate) fn above(&mut self, above: &mut Ranges) {
        if let Some(mark) = self.mark {
            self.inherited.remove_up_to(mark);
        }
        above.clone_from(&self.inherited);
        let mark = self.mark;
        for slot in self.window.iter().filter(|s| s.fresh && !s.open && Some(s.position) > mark) {
            above.insert(slot.position);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_later_success_never_moves_the_mark_past_an_earlier_open_one() {
        let mut ledger = Ledger::default();
        let seqs: Vec<u64> = [10, 12, 15].into_iter().map(|p| ledger.receive(p)).collect();
        ledger.finish(seqs[2]);
        ledger.finish(seqs[1]);
        assert_eq!(ledger.up_to(), None);
        let mut above = Ranges::default();
        ledger.above(&mut above);
        assert_eq!(above.iter().collect::<Vec<_>>(), [(12, 12), (15, 15)]);
        ledger.finish(seqs[0]);
        assert_eq!(ledger.up_to(), Some(15));
    }

    #[test]
    fn an_earlier_owners_retry_never_moves_the_mark_past_a_fresh_message() {
        let mut earlier = Ranges::default();
        earlier.insert(7);
        let mut ledger = Ledger::new(earlier);
        let (retry, fresh) = (ledger.receive(7), ledger.receive(6));
        ledger.finish(retry);
        assert_eq!(ledger.up_to(), None, "6 is open");
        ledger.finish(fresh);
        assert_eq!(ledger.up_to(), Some(6));
    }

    proptest! {
        #[test]
        fn the_mark_never_passes_an_open_position_under_any_interleaving(
            steps in proptest::collection::vec((0u64..3, any::<prop::sample::Index>(), any::<bool>()), 1..200),
        ) {
            let mut ledger = Ledger::default();
            let mut open: BTreeMap<u64, (u64, bool)> = BTreeMap::new();
            let mut finished: Vec<u64> = Vec::new();
            let mut next = 1u64;
            let mut before = None;
            for (kind, pick, redelivered) in steps {
                if kind > 0 || open.is_empty() {
                    next += kind;
                    // What comes again had ended before: with a retry, which the broker keeps by itself.
                    let again = finished.get(pick.index(finished.len().max(1))).copied().filter(|_| redelivered);
                    let (fresh, position) = (again.is_none(), again.unwrap_or(next + 1));
                    next = next.max(position);
                    open.insert(ledger.receive(position), (position, fresh));
                } else {
                    let seq = *pick.get(&open.keys().copied().collect::<Vec<_>>());
                    let (position, fresh) = open.remove(&seq).expect("it is open");
                    if fresh { finished.push(position); }
                    prop_assert!(ledger.finish(seq));
                    prop_assert!(!ledger.finish(seq), "a second settlement is stale");
                }
                let mark = ledger.up_to();
                prop_assert!(mark >= before, "the mark fell");
                before = mark;
                let mut above = Ranges::default();
                ledger.above(&mut above);
                for (position, fresh) in open.values() {
                    prop_assert!(!fresh || Some(*position) > mark, "mark {mark:?} passed open {position}");
                    prop_assert!(!fresh || !above.contains(*position), "open {position} counts as finished");
                }
                for position in &finished {
                    prop_assert!(Some(*position) <= mark || above.contains(*position), "finished {position} was forgotten");
                }
            }
        }
    }
}
