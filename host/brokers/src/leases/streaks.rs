//! How often in a row calls of this host were granted a lock. Bounded: a lock whose place another one takes begins anew, and no harm is done
//! but that another host waits a little longer.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;

/// Locks that are remembered.
const PLACES: usize = 1024;
/// Bits of a place that count; the others tell whose count it is.
const COUNT: u64 = 0xff;

/// Counts by lock.
pub(super) struct Streaks {
    places: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for Streaks {
    fn default() -> Self {
        Streaks { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(), hasher: RandomState::default() }
    }
}

impl Streaks {
    /// A call of this host had it once more.
    pub(super) fn granted(&self, name: &str) {
        let (place, tag) = self.place(name);
        place.store(tag | (self.of(name) + 1).min(COUNT), Ordering::Relaxed);
    }

    /// Another host has it, or goes first.
    pub(super) fn ended(&self, name: &str) {
        let (place, tag) = self.place(name);
        place.store(tag, Ordering::Relaxed);
    }

    /// How often in a row.
    pub(super) fn of(&self, name: &str) -> u64 {
        let (place, tag) = self.place(name);
        let now = place.load(Ordering::Relaxed);
        if now & !COUNT == tag { now & COUNT } else { 0 }
    }

    fn place(&self, name: &str) -> (&AtomicU64, u64) {
        let hash = self.hasher.hash_one(name);
        (&self.places[usize::try_from(hash >> 54).unwrap_or(0) % PLACES], hash & !COUNT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_in_a_row_are_counted_by_lock() {
        let streaks = Streaks::default();
        (0..300).for_each(|_| streaks.granted("a"));
        assert_eq!((streaks.of("a"), streaks.of("b")), (COUNT, 0));
        streaks.ended("a");
        assert_eq!(streaks.of("a"), 0);
        streaks.granted("a");
        assert_eq!(streaks.of("a"), 1);
    }
}
