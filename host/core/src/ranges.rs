//! A set of positions as ascending ranges: what is finished above the cumulative mark.

/// Disjoint, ascending, inclusive ranges of positions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges {
    ranges: Vec<(u64, u64)>,
}

impl Ranges {
    /// Adds a position above all others, or in any order at the cost of a search.
    pub fn insert(&mut self, position: u64) {
        self.insert_range(position, position);
    }

    /// Adds `from..=to`.
    pub fn insert_range(&mut self, from: u64, to: u64) {
        debug_assert!(from <= to, "a range ascends");
        // Mostly the last range grows.
        if let Some((start, end)) = self.ranges.last_mut()
            && *start <= from
            && from <= end.saturating_add(1)
        {
            *end = to.max(*end);
            return;
        }
        let first = self.ranges.partition_point(|(_, end)| end.saturating_add(1) < from);
        let last = self.ranges.partition_point(|(start, _)| *start <= to.saturating_add(1));
        if first == last {
            self.ranges.insert(first, (from, to));
            return;
        }
        let merged = (from.min(self.ranges[first].0), to.max(self.ranges[last - 1].1));
        self.ranges[first] = merged;
        self.ranges.drain(first + 1..last);
    }

    /// Drops everything at or below `position`.
    pub fn remove_up_to(&mut self, position: u64) {
        let whole = self.ranges.partition_point(|(_, end)| *end <= position);
        self.ranges.drain(..whole);
        if let Some(first) = self.ranges.first_mut()
            && first.0 <= position
        {
            first.0 = position + 1;
        }
    }

    /// Whether `position` is in the set.
    pub fn contains(&self, position: u64) -> bool {
        let at = self.ranges.partition_point(|(_, end)| *end < position);
        self.ranges.get(at).is_some_and(|(start, _)| *start <= position)
    }

    /// The last position below `position` that is in the set.
    pub fn last_below(&self, position: u64) -> Option<u64> {
        let at = self.ranges.partition_point(|(start, _)| *start < position);
        self.ranges[..at].last().map(|(_, end)| (*end).min(position - 1))
    }

    /// The first position above `position` that is in the set.
    pub fn first_above(&self, position: u64) -> Option<u64> {
        let at = self.ranges.partition_point(|(_, end)| *end <= position);
        self.ranges.get(at).map(|(start, _)| (*start).max(position + 1))
    }

    /// The ranges, ascending, both ends included.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().copied()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.ranges.clear();
    }

    /// Compact bytes relative to `mark`: LEB128 of the gap to the range before and of the length, for each range.
    pub fn encode(&self, mark: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.ranges.len() * 3);
        let mut before = mark;
        for (start, end) in &self.ranges {
            write_leb(&mut bytes, start - before);
            write_leb(&mut bytes, end - start);
            before = *end;
        }
        bytes
    }

    /// What [`encode`](Self::encode) wrote, or `None` when the bytes are nothing of the kind.
    pub fn decode(mut bytes: &[u8], mark: u64) -> Option<Self> {
        let mut ranges = Ranges::default();
        let mut before = mark;
        while !bytes.is_empty() {
            let gap = read_leb(&mut bytes)?;
            let start = before.checked_add(gap)?;
            let end = start.checked_add(read_leb(&mut bytes)?)?;
            if gap == 0 {
                return None;
            }
            ranges.ranges.push((start, end));
            before = end;
        }
        Some(ranges)
    }
}

fn write_leb(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn read_leb(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(first & 0x7f);
        if shift == 63 && part > 1 {
            return None;
        }
        value |= part << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_are_the_set_of_what_was_inserted(
            inserts in proptest::collection::vec((1u64..120, 0u64..6), 0..40),
            cut in proptest::option::of(0u64..130),
        ) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (from, extra) in inserts {
                ranges.insert_range(from, from + extra);
                set.extend(from..=from + extra);
            }
            if let Some(cut) = cut {
                ranges.remove_up_to(cut);
                set.retain(|p| *p > cut);
            }
            prop_assert_eq!(&(0..140).filter(|p| ranges.contains(*p)).collect::<BTreeSet<_>>(), &set);
            for at in 0..140 {
                prop_assert_eq!(ranges.last_below(at), set.range(..at).next_back().copied());
                prop_assert_eq!(ranges.first_above(at), set.range(at + 1..).next().copied());
            }
            let flat: Vec<_> = ranges.iter().collect();
            prop_assert!(flat.windows(2).all(|w| w[0].1 + 1 < w[1].0), "ranges touch: {:?}", flat);
            let mark = cut.unwrap_or(0);
            prop_assert_eq!(Ranges::decode(&ranges.encode(mark), mark), Some(ranges));
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..30), mark: u64) {
            let _ = Ranges::decode(&bytes, mark);
        }
    }
}
