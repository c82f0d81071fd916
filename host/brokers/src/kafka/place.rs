//! Positions: where a message stands, as one number that ascends within a partition.
//!
//! The lower 40 bits are the offset and one, so that nothing stands at 0 and a position is also the offset of what follows it; 12 bits above
//! are the partition. A redriven dead letter has no place in its topic: it stands above all others, at its place among the retries.

use super::names::Tier;

const OFFSET_BITS: u32 = 40;
const OFFSET_MASK: u64 = (1 << OFFSET_BITS) - 1;
/// Above every position of a message, and below what guests' numbers can hold.
const REDRIVEN: u64 = 1 << 52;

/// Partitions that a topic can have here.
pub(super) const MOST_PARTITIONS: i32 = 1 << 12;

/// A message of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) partition: i32,
    /// Of the message itself.
    pub(super) offset: i64,
}

impl Place {
    pub(super) fn new(partition: i32, offset: i64) -> Self {
        Place { partition, offset }
    }

    /// As a position.
    pub(super) fn position(self) -> u64 {
        let partition = u64::try_from(self.partition).unwrap_or_default();
        (partition << OFFSET_BITS) | (u64::try_from(self.offset.saturating_add(1)).unwrap_or_default() & OFFSET_MASK)
    }

    /// Where a position is; `None` for that of a redriven message. The position below a partition's first has the offset -1.
    pub(super) fn of(position: u64) -> Option<Self> {
        if position >= REDRIVEN {
            return None;
        }
        let offset = (position & OFFSET_MASK).cast_signed() - 1;
        Some(Place { partition: i32::try_from(position >> OFFSET_BITS).ok()?, offset })
    }
}

/// What names a delivery: the partition that it came from, which is a tier's or the topic's own, and its offset there. A copy that waits
/// has its message's position and a place of its own.
pub(super) type Delivered = (Option<Tier>, i64);

/// A delivery as the token of its receipt.
pub(super) fn token((tier, offset): Delivered) -> [u8; 9] {
    let mut token = [0; 9];
    token[0] = tier.map_or(0, |tier| tier.number() + 1);
    token[1..].copy_from_slice(&offset.to_be_bytes());
    token
}

/// The delivery of a receipt's token.
pub(super) fn delivered(token: &[u8]) -> Option<Delivered> {
    let (first, offset) = token.split_first()?;
    let tier = if *first == 0 { None } else { Some(Tier::numbered(first - 1)?) };
    Some((tier, i64::from_be_bytes(offset.try_into().ok()?)))
}

/// The position of a redriven message that waits among the retries of a tier.
pub(super) fn redriven(tier: Tier, offset: i64) -> u64 {
    REDRIVEN | Place::new(i32::from(tier.number()), offset).position()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_lead_back() {
        for delivery in Tier::all().map(Some).chain([None]).zip([0, 7, i64::MAX].into_iter().cycle()) {
            assert_eq!(delivered(&token(delivery)), Some(delivery));
        }
        assert_eq!((delivered(&[]), delivered(&[200, 0, 0, 0, 0, 0, 0, 0, 0])), (None, None));
    }

    proptest! {
        #[test]
        fn positions_ascend_and_lead_back(partition in 0..MOST_PARTITIONS, offset in 0i64..(1 << 39), more in 1i64..1000) {
            let (place, later) = (Place::new(partition, offset), Place::new(partition, offset + more));
            prop_assert_eq!(Place::of(place.position()), Some(place));
            prop_assert!(place.position() > 0 && place.position() < later.position());
            prop_assert!(later.position() < redriven(Tier::FIRST, 0));
            prop_assert_eq!(Place::of(place.position() - 1), Some(Place::new(partition, offset - 1)));
        }

        #[test]
        fn redriven_messages_have_positions_of_their_own(tier in 0usize..9, offset in 0i64..(1 << 39)) {
            let position = redriven(Tier::all().nth(tier).expect("a tier"), offset);
            prop_assert_eq!(Place::of(position), None);
            prop_assert!(position < 1 << 53);
        }
    }
}
