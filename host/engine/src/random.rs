//! A small generator of random numbers, seeded, so that a simulation replays.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// A lane's own: lanes that fail at the same time must not come again in step.
    pub(crate) fn of_lane(seed: u64, lane: &str) -> Self {
        Random::new(FixedState::with_seed(seed).hash_one(lane))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to below 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_draws_its_own_numbers_and_the_same_each_time() {
        let first = |seed, lane| Random::of_lane(seed, lane).next();
        assert_eq!(first(1, "orders/0"), first(1, "orders/0"));
        assert_ne!(first(1, "orders/0"), first(1, "orders/1"));
        assert_ne!(first(1, "orders/0"), first(2, "orders/0"));
    }
}
