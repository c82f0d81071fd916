//! What a lane has received and not settled, by delivery tag: for the copy that a retry needs, and to acknowledge many at once. Pure.
//!
//! Reading and settling are two objects that share this, behind a lock that each takes once a batch. Tags count up from 1 on a channel, so
//! they are places in a queue of slots; a tag is settled once, whatever is asked later.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use lapin::BasicProperties;

use super::envelope::Place;

/// A message that a lane has in hand.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) properties: BasicProperties,
    pub(super) payload: Vec<u8>,
    pub(super) topic: String,
    pub(super) place: Place,
    pub(super) deliveries: u32,
}

/// How to acknowledge what was settled.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tags {
    /// Everything up to and with this one.
    pub(super) up_to: Option<u64>,
    /// And these.
    pub(super) single: Vec<u64>,
}

#[derive(Debug)]
enum Slot {
    Open(Arc<Kept>),
    /// Its copy for a retry is confirmed, so it only has to be acknowledged.
    Copied(u64),
    Settled,
}

/// All of it, in the order of tags.
#[derive(Debug, Default)]
pub(super) struct Held {
    slots: VecDeque<Slot>,
    /// Tag of what stands before the first slot.
    before: u64,
    /// Positions of retries that are in hand: two must not share one.
    again: HashSet<u64>,
}

impl Held {
    /// Takes in the next delivery.
    pub(super) fn receive(&mut self, tag: u64, kept: Kept, is_retry: bool) {
        // Tags that were never seen here are not this lane's to settle.
        while self.before + (self.slots.len() as u64) + 1 < tag {
            self.slots.push_back(Slot::Settled);
        }
        if is_retry {
            self.again.insert(kept.place.position);
        }
        self.slots.push_back(Slot::Open(Arc::new(kept)));
    }

    /// Whether a retry of that position is in hand.
    pub(super) fn has(&self, position: u64) -> bool {
        self.again.contains(&position)
    }

    /// The message of a tag, unless it is settled or its copy is made.
    pub(super) fn get(&self, tag: u64) -> Option<Arc<Kept>> {
        match self.slots.get(self.place(tag)?)? {
            Slot::Open(kept) => Some(Arc::clone(kept)),
            Slot::Copied(_) | Slot::Settled => None,
        }
    }

    /// The message's copy is with the broker.
    pub(super) fn copied(&mut self, tag: u64) {
        if let Some(slot) = self.place(tag).and_then(|at| self.slots.get_mut(at))
            && let Slot::Open(kept) = slot
        {
            *slot = Slot::Copied(kept.place.position);
        }
    }

    /// Settles tags and says how to acknowledge them. Those that were settled before are left out.
    pub(super) fn settle(&mut self, tags: impl Iterator<Item = u64>) -> Tags {
        let mut settled: Vec<u64> = tags.filter(|tag| self.settle_one(*tag)).collect();
        settled.sort_unstable();
        while let Some(Slot::Settled) = self.slots.front() {
            self.slots.pop_front();
            self.before += 1;
        }
        let below = settled.partition_point(|tag| *tag <= self.before);
        let single = settled.split_off(below);
        Tags { up_to: settled.pop(), single }
    }

    fn settle_one(&mut self, tag: u64) -> bool {
        let Some(slot) = self.place(tag).and_then(|at| self.slots.get_mut(at)) else { return false };
        match std::mem::replace(slot, Slot::Settled) {
            Slot::Open(kept) => self.again.remove(&kept.place.position),
            Slot::Copied(position) => self.again.remove(&position),
            Slot::Settled => return false,
        };
        true
    }

    fn place(&self, tag: u64) -> Option<usize> {
        usize::try_from(tag.checked_sub(self.before + 1)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn kept(position: u64) -> Kept {
        let (properties, payload, topic) = (BasicProperties::default(), Vec::new(), String::new());
        Kept { properties, payload, topic, place: Place { position, lane: 0 }, deliveries: 1 }
    }

    proptest! {
        #[test]
        fn each_tag_is_acknowledged_once_and_none_that_is_open(rounds in proptest::collection::vec(proptest::collection::vec(1u64..40, 0..12), 0..12)) {
            let mut held = Held::default();
            (1..40).for_each(|tag| held.receive(tag, kept(tag), false));
            let (mut open, mut at_the_broker): (BTreeSet<u64>, BTreeSet<u64>) = ((1..40).collect(), (1..40).collect());
            for round in rounds {
                let tags = held.settle(round.iter().copied());
                for tag in &round {
                    open.remove(tag);
                }
                if let Some(up_to) = tags.up_to {
                    prop_assert!(at_the_broker.contains(&up_to), "{} is acknowledged twice", up_to);
                    at_the_broker.retain(|tag| *tag > up_to);
                }
                for tag in tags.single {
                    prop_assert!(at_the_broker.remove(&tag), "{} is acknowledged twice", tag);
                }
                prop_assert_eq!(&at_the_broker, &open);
            }
        }
    }

    #[test]
    fn a_copy_is_made_once() {
        let mut held = Held::default();
        held.receive(1, kept(7), true);
        assert!(held.get(1).is_some() && held.has(7));
        held.copied(1);
        assert!(held.get(1).is_none(), "a second round with it makes no second copy");
        assert_eq!(held.settle([1].into_iter()), Tags { up_to: Some(1), single: Vec::new() });
        assert_eq!(held.settle([1].into_iter()), Tags::default());
        assert!(!held.has(7));
    }
}
