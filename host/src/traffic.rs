//! What goes through a broker: how much was published, and how fast messages go in and out.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How far back a rate looks, in milliseconds.
const WINDOW: u64 = 60_000;

/// The traffic of one broker.
#[derive(Debug)]
pub struct Traffic {
    /// Messages that left through it, confirmed. Shared with whoever publishes.
    pub published: Arc<AtomicU64>,
    readings: Mutex<Readings>,
}

/// Totals as they were read, oldest first.
#[derive(Debug)]
struct Readings(VecDeque<(u64, u64)>);

impl Traffic {
    /// Nothing yet, at `now` in milliseconds.
    pub fn new(now: u64) -> Self {
        Traffic { published: Arc::default(), readings: Mutex::new(Readings(VecDeque::from([(now, 0)]))) }
    }

    /// Messages that were published.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Notes that so many messages were consumed until `now`, in milliseconds, for rates to come.
    pub(crate) fn read(&self, now: u64, consumed: u64) {
        let total = self.published() + consumed;
        self.readings.lock().unwrap_or_else(PoisonError::into_inner).add(now, total);
    }

    /// Messages a second, in and out, over the last minute, or since it was opened.
    pub(crate) fn rate(&self, now: u64, consumed: u64) -> Option<f64> {
        let total = self.published() + consumed;
        self.readings.lock().unwrap_or_else(PoisonError::into_inner).rate(now, total)
    }
}

impl Readings {
    /// One more; those are let go that are older than what a rate begins with.
    fn add(&mut self, now: u64, total: u64) {
        while self.0.get(1).is_some_and(|(at, _)| at + WINDOW <= now) {
            self.0.pop_front();
        }
        self.0.push_back((now, total));
    }

    fn rate(&self, now: u64, total: u64) -> Option<f64> {
        let is_old = |(at, _): &&(u64, u64)| at + WINDOW <= now;
        let (at, before) = self.0.iter().rev().find(is_old).or(self.0.front())?;
        let elapsed = now.checked_sub(*at).filter(|elapsed| *elapsed > 0)?;
        Some(total.saturating_sub(*before) as f64 * 1000.0 / elapsed as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_last_minute() {
        let traffic = Traffic::new(1_000);
        assert_eq!(traffic.rate(1_000, 0), None, "no time has passed");
        assert_eq!(traffic.rate(3_000, 10), Some(5.0), "since it was opened");
        traffic.published.fetch_add(10, Ordering::Relaxed);
        assert_eq!(traffic.rate(3_000, 10), Some(10.0), "in and out");
        for second in 1..=100 {
            traffic.read(1_000 + second * 1_000, 590);
        }
        assert_eq!(traffic.rate(101_000, 590), Some(0.0), "what came before is forgotten");
        assert_eq!(traffic.rate(101_000, 1_190), Some(10.0));
        assert!(traffic.readings.lock().unwrap().0.len() <= 62, "and so are the readings");
    }
}
