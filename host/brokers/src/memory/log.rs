//! A log in memory: segments of packed rows. Appending is a `memcpy`, removing the oldest is dropping a segment.

use std::collections::VecDeque;

use longshore_core::row::Row;

use crate::local::{Removed, stamped};

/// Bytes of rows after which a segment is full.
const SEGMENT: usize = 1 << 20;
/// Start of a row that was taken out of the middle.
const GONE: u32 = u32::MAX;

/// A run of messages with ascending positions, without gaps but for those taken out.
#[derive(Default)]
struct Segment {
    first: u64,
    rows: Vec<u8>,
    entries: Vec<Entry>,
    /// Entries from the front that were removed.
    removed: usize,
}

struct Entry {
    start: u32,
    at: u64,
}

/// All messages of one topic.
#[derive(Default)]
pub(super) struct Log {
    segments: VecDeque<Segment>,
    /// An empty one, whose memory is used again.
    spare: Option<Segment>,
    scratch: Vec<u8>,
}

impl Segment {
    fn row(&self, index: usize) -> Option<Row<'_>> {
        let start = self.entries.get(index)?.start;
        (start != GONE && index >= self.removed).then(|| Row::at(&self.rows, start as usize).expect("only whole rows are appended"))
    }

    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }
}

impl Log {
    /// Appends rows from position `first` on.
    pub(super) fn append<'a>(&mut self, first: u64, now: u64, rows: impl Iterator<Item = Row<'a>>) {
        for (position, row) in (first..).zip(rows) {
            let full = |s: &Segment| s.rows.len() + row.size() > SEGMENT || s.end() != position;
            if self.segments.back().is_none_or(full) {
                let spare = self.spare.take().unwrap_or_default();
                self.segments.push_back(Segment { first: position, ..spare });
            }
            let segment = self.segments.back_mut().expect("one was pushed if there was none");
            let start = u32::try_from(segment.rows.len()).expect("a segment is far below 4 GiB");
            segment.entries.push(Entry { start, at: now });
            segment.rows.extend_from_slice(stamped(row, now, &mut self.scratch));
        }
    }

    /// The row at a position.
    pub(super) fn row(&self, position: u64) -> Option<Row<'_>> {
        let segment = self.segments.get(self.segment_of(position))?;
        segment.row(usize::try_from(position.checked_sub(segment.first)?).ok()?)
    }

    /// Shows messages at or after `from`, upwards, until `each` answers false. Says whether all were shown.
    pub(super) fn upwards<'a>(&'a self, from: u64, each: &mut dyn FnMut(u64, Row<'a>, u64) -> bool) -> bool {
        for segment in self.segments.range(self.segment_of(from)..) {
            let skip = usize::try_from(from.saturating_sub(segment.first)).unwrap_or(usize::MAX).max(segment.removed);
            for index in skip..segment.entries.len() {
                if let Some(row) = segment.row(index)
                    && !each(segment.first + index as u64, row, segment.entries[index].at)
                {
                    return false;
                }
            }
        }
        true
    }

    /// Shows messages below `from`, downwards, until `each` answers false. Says whether all were shown.
    pub(super) fn downwards(&self, from: u64, each: &mut dyn FnMut(u64, Row<'_>) -> bool) -> bool {
        for segment in self.segments.iter().rev().filter(|s| s.first < from) {
            let end = usize::try_from(from - segment.first).unwrap_or(usize::MAX).min(segment.entries.len());
            for index in (segment.removed..end).rev() {
                if let Some(row) = segment.row(index)
                    && !each(segment.first + index as u64, row)
                {
                    return false;
                }
            }
        }
        true
    }

    /// Removes messages at or below `up_to`, at most `limit`.
    pub(super) fn remove_up_to(&mut self, up_to: u64, limit: u64) -> Removed {
        let mut removed = Removed::default();
        while let Some(segment) = self.segments.front_mut() {
            while segment.removed < segment.entries.len() && segment.first + segment.removed as u64 <= up_to && removed.messages < limit {
                if let Some(row) = segment.row(segment.removed) {
                    removed.messages += 1;
                    removed.bytes += row.size() as u64;
                }
                segment.removed += 1;
            }
            if segment.removed < segment.entries.len() {
                break;
            }
            let mut empty = self.segments.pop_front().expect("it is the front");
            empty.rows.clear();
            empty.entries.clear();
            self.spare = Some(Segment { removed: 0, ..empty });
        }
        removed
    }

    /// Removes one message.
    pub(super) fn remove(&mut self, position: u64) -> Removed {
        let at = self.segment_of(position);
        let Some(row) = self.row(position) else { return Removed::default() };
        let removed = Removed { messages: 1, bytes: row.size() as u64 };
        let segment = &mut self.segments[at];
        let index = usize::try_from(position - segment.first).expect("the row was found");
        segment.entries[index].start = GONE;
        removed
    }

    /// Index of the first segment that ends above `position`.
    fn segment_of(&self, position: u64) -> usize {
        self.segments.partition_point(|segment| segment.end() <= position)
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::{Message, row};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    use super::*;

    fn bytes_of(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let headers = std::iter::empty();
        row::append(&mut bytes, &Message { id: "", topic: "t", key: None, payload: Some(payload), headers, timestamp: 1, attempt: 1 });
        bytes
    }

    proptest! {
        #[test]
        fn a_log_is_a_map_from_positions(steps in proptest::collection::vec((0u8..4, 0u64..60, 0usize..300_000), 1..40)) {
            let (mut log, mut model, mut next) = (Log::default(), BTreeMap::new(), 1u64);
            for (what, number, size) in steps {
                match what {
                    0 | 1 => {
                        let bytes = bytes_of(&vec![7; size]);
                        log.append(next, 1, std::iter::once(Row::at(&bytes, 0).expect("a row")));
                        model.insert(next, bytes);
                        next += 1;
                    }
                    2 => {
                        let removed = log.remove_up_to(number, 5);
                        let gone: Vec<u64> = model.range(..=number).take(5).map(|(p, _)| *p).collect();
                        prop_assert_eq!(removed.messages, gone.len() as u64);
                        gone.iter().for_each(|p| { model.remove(p); });
                    }
                    _ => {
                        let removed = log.remove(number);
                        prop_assert_eq!(removed.messages, u64::from(model.remove(&number).is_some()));
                    }
                }
            }
            let mut up = Vec::new();
            log.upwards(0, &mut |position, row, _| { up.push((position, row.bytes().to_vec())); true });
            prop_assert_eq!(&up, &model.clone().into_iter().collect::<Vec<_>>());
            let mut down = Vec::new();
            log.downwards(u64::MAX, &mut |position, row| { down.push((position, row.bytes().to_vec())); true });
            down.reverse();
            prop_assert_eq!(down, up);
        }
    }
}
