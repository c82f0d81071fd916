//! Since when the oldest message is held that is not settled: the one number that shows a lane that does not get on.

use std::collections::VecDeque;

use longshore_core::Handler;

use super::LaneTask;

/// When batches came, by the sequence number of their first message. As many as there are batches with open messages.
#[derive(Debug, Default)]
pub(super) struct Arrivals(VecDeque<(u64, u64)>);

impl Arrivals {
    /// A batch came at `now`, milliseconds since the Unix epoch.
    pub(super) fn came(&mut self, first: u64, now: u64) {
        self.0.push_back((first, now));
    }

    /// When the message `oldest` came; forgets batches before its own.
    fn of(&mut self, oldest: u64) -> Option<u64> {
        while self.0.get(1).is_some_and(|(first, _)| *first <= oldest) {
            self.0.pop_front();
        }
        self.0.front().map(|(_, at)| *at)
    }
}

impl<H: Handler> LaneTask<H> {
    pub(super) fn tell_oldest_open(&mut self) {
        if self.held == 0 {
            self.arrivals.0.clear();
            return self.told.set_oldest_open(None);
        }
        // What ended and is not settled is held, too.
        let ended = self.pending.iter().map(|record| record.oldest).chain(self.settlement.oldest()).min();
        let oldest = self.ledger.oldest_open().min(ended.unwrap_or(u64::MAX));
        self.told.set_oldest_open(self.arrivals.of(oldest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_came_with_its_batch() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.of(0), None);
        for (first, at) in [(0, 100), (10, 200), (20, 300)] {
            arrivals.came(first, at);
        }
        assert_eq!([0, 9, 10, 25].map(|oldest| arrivals.of(oldest)), [100, 100, 200, 300].map(Some));
    }
}
