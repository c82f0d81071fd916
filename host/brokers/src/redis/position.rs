//! Ids of stream entries as positions: `<milliseconds>-<number>` is `milliseconds << 20 | number`.
//!
//! A server's own ids fit for the next 500 years, with half a million entries in one millisecond. Ids that a producer chose may not fit: such
//! an entry is read and settled by its id all the same, only pages of a listing cannot begin there. The upper half of the numbers is for
//! messages that were redriven and have no place of their own in the stream.

/// Bits of the number.
const NUMBER: u32 = 20;
/// Numbers at or above it are for redriven messages.
pub(super) const REDRIVEN: u64 = 1 << (NUMBER - 1);
/// Milliseconds that fit.
const MILLIS: u64 = 1 << (64 - NUMBER);

/// An id, in its two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryId {
    /// Milliseconds since the Unix epoch, by the server's clock, unless the producer chose it.
    pub(super) millis: u64,
    /// Tells entries of one millisecond apart.
    pub(super) number: u64,
}

impl EntryId {
    /// The id that the server writes like this.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (millis, number) = text.split_once('-')?;
        Some(EntryId { millis: millis.parse().ok()?, number: number.parse().ok()? })
    }

    /// The id at a position.
    pub(super) fn at(position: u64) -> Self {
        EntryId { millis: position >> NUMBER, number: position & ((1 << NUMBER) - 1) }
    }

    /// Its position, the nearest below where it does not fit, and whether it fits.
    pub(super) fn position(self) -> (u64, bool) {
        if self.millis >= MILLIS {
            return (u64::MAX, false);
        }
        let fits = self.number < REDRIVEN;
        (self.millis << NUMBER | if fits { self.number } else { REDRIVEN - 1 }, fits)
    }

    /// The position of a kept message, which may be a redriven one: those have numbers of their own.
    pub(super) fn place(self) -> u64 {
        self.millis.min(MILLIS - 1) << NUMBER | self.number.min((1 << NUMBER) - 1)
    }

    /// The id directly before it; the lowest stays.
    pub(super) fn before(self) -> Self {
        match (self.millis, self.number) {
            (0, 0) => self,
            (millis, 0) => EntryId { millis: millis - 1, number: u64::MAX },
            (millis, number) => EntryId { millis, number: number - 1 },
        }
    }
}

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_id_is_its_position_and_back() {
        for text in ["0-0", "1-1", "1764036000123-7", "1764036000123-524287"] {
            let id = EntryId::parse(text).expect("an id");
            let (position, fits) = id.position();
            assert!(fits, "{text}");
            assert_eq!(EntryId::at(position).to_string(), text);
        }
    }

    #[test]
    fn what_does_not_fit_says_so_and_stays_in_order() {
        let (before, after) = (EntryId::parse("5-524287").expect("an id"), EntryId::parse("6-0").expect("an id"));
        for text in ["5-524288", "5-18446744073709551615"] {
            let (position, fits) = EntryId::parse(text).expect("an id").position();
            assert!(!fits && position >= before.position().0 && position < after.position().0, "{text}");
        }
        assert_eq!(EntryId::parse("18446744073709551615-1").expect("an id").position(), (u64::MAX, false));
        for bad in ["", "5", "a-1", "5-", "-1", "18446744073709551616-0"] {
            assert_eq!(EntryId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_id_before_crosses_milliseconds() {
        let before = |text: &str| EntryId::parse(text).expect("an id").before().to_string();
        assert_eq!(before("5-3"), "5-2");
        assert_eq!(before("5-0"), "4-18446744073709551615");
        assert_eq!(before("0-0"), "0-0");
    }
}
