//! What is written beside a committed offset: which messages above it are finished, and what owners had in hand that were lost.
//!
//! `L1.` and base64 of: a checksum, the ends of what was lost (count; distance and times of each), the finished ranges; `L2.` where messages were
//! tried in their places, which stand before the ranges (count; distance, attempt, due time and first failure of each). All of it is relative to the offset, which the checksum covers: with another offset beside it, as a tool leaves it that moves the group, a note means
//! nothing. What is foreign or damaged means nothing either, so that messages come twice and none is lost.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use longshore_core::Ranges;

use super::blocked::Tried;
use super::progress::{Lost, Progress, Tries};

/// What a server takes: its `offset.metadata.max.bytes`, unless it is told otherwise.
pub(super) const MOST: usize = 4096;
/// Above this, nothing more is handed over until the mark moves.
pub(super) const FULL: usize = MOST / 4 * 3;
/// Form and version.
const PREFIX: &str = "L1.";
/// The same, with what was tried.
const TRIED: &str = "L2.";
/// Messages that were tried and stand in a note, the lowest: so many hold their partition at once only where more run at once.
const MOST_TRIED: usize = 100;
/// Bytes of a range at least. Two ranges have an open message between them, so what is open makes half as many, and one.
const RANGE: usize = 2;
/// Bytes of a range at most, unless there are some millions of offsets without a message before it.
const LONGEST_RANGE: usize = 5;
/// A range has a byte more for each of its lengths that is greater, of which there cannot be more than that many offsets have room for.
const LONG: usize = 120;
/// Letters of a note of nothing, and of the end of something lost.
const MARGIN: usize = 16;
const LETTERS_OF_LOST: usize = 10;
/// Ends of what was lost that are kept, the newest.
const MOST_LOST: usize = 32;

/// The note for a partition that is read by somebody who has open messages in hand (`in_hand`), or who has given them back. At most
/// [`MOST`] bytes: where more is finished, the highest ranges are left out and come again.
pub(super) fn write(progress: &Progress, in_hand: bool) -> String {
    let above = progress.above();
    let lost = progress.lost(in_hand);
    let tries = progress.tries();
    if above.is_empty() && lost.is_empty() && tries.is_empty() {
        return String::new();
    }
    let mark = progress.mark().cast_unsigned();
    let note = encode(mark, &lost, tries, &above.encode(mark));
    if note.len() <= MOST {
        return note;
    }
    let ranges: Vec<(u64, u64)> = above.iter().collect();
    let (mut fits, mut beyond, mut best) = (0, ranges.len(), String::new());
    while beyond - fits > 1 {
        let middle = usize::midpoint(fits, beyond);
        let mut some = Ranges::default();
        ranges[..middle].iter().for_each(|(from, to)| some.insert_range(*from, *to));
        let note = encode(mark, &lost, tries, &some.encode(mark));
        if note.len() <= MOST {
            (fits, best) = (middle, note);
        } else {
            beyond = middle;
        }
    }
    best
}

/// The same, with every finished range or not at all: who commits exactly once may leave none out. Where there is no room besides, how often
/// messages were tried is left out, and counted anew after a crash; then what is in hand, which only an heir of a full note has no room for.
pub(super) fn write_whole(progress: &Progress, in_hand: bool) -> Option<String> {
    let above = progress.above();
    let note = write(progress, in_hand);
    if read(progress.mark(), &note).is_some_and(|(kept, ..)| kept == above) {
        return Some(note);
    }
    let (mark, none) = (progress.mark().cast_unsigned(), Tries::new());
    let notes = [in_hand, false].map(|in_hand| encode(mark, &progress.lost(in_hand), &none, &above.encode(mark)));
    notes.into_iter().find(|note| note.len() <= MOST)
}

/// Whether one more message can be handed over such that there is room for every finished range, whatever of the open ones ends. A single one
/// always can: once it ends the mark moves, and the ranges of an earlier owner, for which there was room, are fewer.
pub(super) fn has_room_for_one(progress: &Progress) -> bool {
    if !progress.is_open() {
        return true;
    }
    let of_open = progress.count_open().div_ceil(2) + 1;
    let letters = |bytes: usize| bytes * 4 / 3;
    let of_lost = (progress.count_lost() + 1).min(MOST_LOST) * LETTERS_OF_LOST;
    if MARGIN + of_lost + letters((progress.gaps() + of_open) * RANGE + progress.span() / LONG) <= MOST {
        return true;
    }
    let above = progress.above();
    let mark = progress.mark().cast_unsigned();
    let now = encode(mark, &progress.lost(true), &Tries::new(), &above.encode(mark)).len();
    now + letters(of_open * LONGEST_RANGE) <= MOST
}

/// What a note beside the offset `mark` says; `None` where it is foreign or damaged.
pub(super) fn read(mark: i64, note: &str) -> Option<(Ranges, Lost, Tries)> {
    if note.is_empty() {
        return Some(Default::default());
    }
    let (is_tried, text) = match note.strip_prefix(TRIED) {
        Some(text) => (true, text),
        None => (false, note.strip_prefix(PREFIX)?),
    };
    let bytes = BASE64.decode(text).ok()?;
    let (sum, mut rest) = bytes.split_first_chunk::<4>()?;
    let mark = u64::try_from(mark).ok()?;
    if u32::from_le_bytes(*sum) != checksum(mark, rest) {
        return None;
    }
    let count = read_number(&mut rest)?;
    let mut lost = Lost::new();
    let mut end = mark;
    for _ in 0..count {
        end = end.checked_add(read_number(&mut rest)?)?;
        lost.push((i64::try_from(end).ok()?, u32::try_from(read_number(&mut rest)?).ok()?));
    }
    let tries = if is_tried { read_tries(&mut rest, mark)? } else { Tries::new() };
    // Ranges begin above a mark, and what is finished cannot be at it: so the gap is never nothing.
    Some((Ranges::decode(rest, mark)?, lost, tries))
}

fn read_tries(rest: &mut &[u8], mark: u64) -> Option<Tries> {
    let mut tries = Tries::new();
    for _ in 0..read_number(rest)? {
        let offset = mark.checked_add(read_number(rest)?)?;
        let (attempt, not_before, first_failed_at) = (read_number(rest)?, read_number(rest)?, read_number(rest)?);
        let tried = Tried { attempt: u32::try_from(attempt).ok()?, not_before, first_failed_at };
        tries.insert(i64::try_from(offset).ok()?, tried);
    }
    Some(tries)
}

fn encode(mark: u64, lost: &Lost, tries: &Tries, ranges: &[u8]) -> String {
    let kept = &lost[lost.len().saturating_sub(MOST_LOST)..];
    let mut body = Vec::new();
    write_number(&mut body, kept.len() as u64);
    let mut before = mark;
    for (end, times) in kept {
        let end = end.cast_unsigned();
        write_number(&mut body, end - before);
        write_number(&mut body, u64::from(*times));
        before = end;
    }
    if !tries.is_empty() {
        write_number(&mut body, tries.len().min(MOST_TRIED) as u64);
        for (offset, tried) in tries.iter().take(MOST_TRIED) {
            write_number(&mut body, offset.cast_unsigned() - mark);
            [u64::from(tried.attempt), tried.not_before, tried.first_failed_at].iter().for_each(|n| write_number(&mut body, *n));
        }
    }
    body.extend_from_slice(ranges);
    let mut bytes = checksum(mark, &body).to_le_bytes().to_vec();
    bytes.extend_from_slice(&body);
    format!("{}{}", if tries.is_empty() { PREFIX } else { TRIED }, BASE64.encode(bytes))
}

/// FNV-1a: <http://www.isthe.com/chongo/tech/comp/fnv/>.
fn checksum(mark: u64, body: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    mark.to_le_bytes().iter().chain(body).fold(0x811c_9dc5, step)
}

fn write_number(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..63).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A partition in which every other message is finished.
    fn comb(from: i64, teeth: i64) -> Progress {
        let mut progress = Progress::new(from, Ranges::default(), Vec::new());
        (from..from + 2 * teeth).for_each(|offset| {
            progress.see(offset);
        });
        (0..teeth).for_each(|i| {
            progress.finish(from + 2 * i + 1);
        });
        progress
    }

    #[test]
    fn a_note_is_ascii_and_never_larger_than_a_server_takes() {
        for teeth in [1, 100, 1_000, 1_500, 20_000] {
            let progress = comb(1 << 39, teeth);
            let note = write(&progress, true);
            assert!(note.is_ascii() && note.len() <= MOST, "{teeth}: {} bytes", note.len());
            let (ranges, lost, _) = read(progress.mark(), &note).expect("it is read");
            let (all, kept) = (progress.above().iter().collect::<Vec<_>>(), ranges.iter().collect::<Vec<_>>());
            assert_eq!(kept, all[..kept.len()], "the lowest are kept");
            assert!(!kept.is_empty() && (kept.len() == all.len() || note.len() > MOST - 16), "{teeth}: no more fits");
            assert_eq!(lost, progress.lost(true));
        }
    }

    #[test]
    fn a_note_of_many_tries_keeps_the_lowest_and_finds_room_for_ranges() {
        let mut progress = comb(1 << 39, 1_500);
        let tried = Tried { attempt: 1_000_000, not_before: 1 << 41, first_failed_at: 1 << 41 };
        (0..1_500).for_each(|i| progress.set_tried((1 << 39) + 2 * i, tried));
        let note = write(&progress, true);
        let (ranges, _, tries) = read(progress.mark(), &note).expect("it is read");
        assert!(note.len() <= MOST && tries.len() == MOST_TRIED && ranges.iter().len() > 100, "{} bytes", note.len());
        assert!(tries.iter().eq(progress.tries().iter().take(MOST_TRIED)));
    }

    #[test]
    fn who_leaves_nothing_out_is_handed_no_more_than_there_is_room_to_tell_of() {
        for gap in [1, 2, 100, 400, 20_000] {
            let mut progress = Progress::new(1 << 39, Ranges::default(), vec![((1 << 39) + 5, 3)]);
            let (mut offset, mut open) = (1 << 39, Vec::new());
            while has_room_for_one(&progress) && open.len() < 5_000 {
                offset += gap;
                progress.see(offset);
                open.push(offset);
            }
            assert!(open.len() > 1_000 && open.len() < 5_000, "{} with gaps of {gap}", open.len());
            let tried = Tried { attempt: 1_000_000, not_before: 1 << 41, first_failed_at: 1 << 41 };
            open.iter().take(100).for_each(|offset| progress.set_tried(*offset, tried));
            // Whatever of them ends: most is to be told where every second does.
            for end in open.iter().skip(1).step_by(2) {
                progress.finish(*end);
            }
            let note = write_whole(&progress, true).expect("there is room");
            let (ranges, lost, _) = read(progress.mark(), &note).expect("it is read");
            assert_eq!((ranges, lost), (progress.above(), progress.lost(true)));
            assert!(note.len() <= MOST && note.is_ascii());
        }
    }

    #[test]
    fn nothing_is_written_where_there_is_nothing_to_say() {
        let mut progress = comb(7, 1);
        progress.finish(7);
        assert_eq!(write(&progress, true), "");
        assert_eq!(read(9, ""), Some(Default::default()));
    }

    #[test]
    fn a_note_beside_another_offset_means_nothing() {
        let progress = comb(7, 3);
        let note = write(&progress, true);
        assert!(read(7, &note).is_some());
        assert_eq!(read(8, &note), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(start in 0i64..(1 << 40), steps in proptest::collection::vec((1i64..500, any::<bool>()), 1..60), hand: bool) {
            let mut progress = Progress::new(start, Ranges::default(), vec![(start + 3, 2), (start + 900, 1)]);
            let mut offset = start;
            for (gap, done) in steps {
                offset += gap;
                progress.see(offset);
                if done {
                    progress.finish(offset);
                }
            }
            let (times, far) = (u64::from(hand) * 1_800_000_000_000, progress.mark() + 70);
            [progress.mark(), far].into_iter().for_each(|offset| progress.set_tried(offset, Tried { attempt: 3, not_before: times, first_failed_at: 9 }));
            let note = write(&progress, hand);
            prop_assert_eq!(read(progress.mark(), &note), Some((progress.above(), progress.lost(hand), progress.tries().clone())));
        }

        #[test]
        fn what_is_foreign_or_damaged_means_nothing(text in ".{1,30}", at in 0usize..200, byte in 32u8..127) {
            prop_assert_eq!(read(7, &text), None);
            let mut note = write(&comb(7, 20), true).into_bytes();
            let at = at % note.len();
            if note[at] != byte {
                note[at] = byte;
                prop_assert_eq!(read(7, &String::from_utf8(note).expect("ASCII")), None);
            }
        }
    }
}
