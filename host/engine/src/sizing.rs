//! How many messages a call gets. Pure.

use std::time::Duration;

use longshore_core::Batching;

/// A call should fill about this much of the handler's time: long enough that the price of a call disappears, short enough to share.
const FULL_CALL_NANOS: f64 = 1_000_000.0;
/// Below this a call is not made smaller for the sake of idle instances: handing it over would cost more than it saves.
const WORTH_SHARING_NANOS: f64 = 100_000.0;
/// Weight of the newest call in the measured speed.
const NEWEST: f64 = 0.25;

/// The recent speed of a handler, and what follows from it.
#[derive(Debug, Clone)]
pub(crate) struct Sizing {
    batching: Batching,
    /// Nanoseconds a message, 0 while nothing is known.
    nanos_per_message: f64,
}

impl Sizing {
    pub(crate) fn new(batching: Batching) -> Self {
        Sizing { batching, nanos_per_message: 0.0 }
    }

    /// A call of `messages` took `elapsed`.
    pub(crate) fn observe(&mut self, messages: usize, elapsed: Duration) {
        let nanos = (elapsed.as_nanos() as f64 / messages.max(1) as f64).max(1.0);
        self.nanos_per_message =
            if self.nanos_per_message == 0.0 { nanos } else { NEWEST * nanos + (1.0 - NEWEST) * self.nanos_per_message };
    }

    /// Messages for the next call when `waiting` wait and `idle` calls could start: from 1, at most what waits.
    pub(crate) fn next(&self, waiting: usize, idle: usize) -> usize {
        let most = match self.batching {
            Batching::Fixed { max_messages, .. } => max_messages,
            Batching::Adaptive { max_messages } if self.nanos_per_message > 0.0 => {
                let full = (FULL_CALL_NANOS / self.nanos_per_message) as usize;
                let worth = (WORTH_SHARING_NANOS / self.nanos_per_message) as usize;
                let share = waiting.div_ceil(idle.max(1));
                full.min(share.max(worth)).min(max_messages)
            }
            Batching::Adaptive { .. } => 1,
        };
        most.min(waiting).max(1)
    }

    /// How long a call may be held back for more messages, when `waiting` wait.
    pub(crate) fn hold_back(&self, waiting: usize) -> Option<Duration> {
        match self.batching {
            Batching::Fixed { max_messages, max_wait } if waiting < max_messages && !max_wait.is_zero() => Some(max_wait),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adaptive(nanos: u64) -> Sizing {
        let mut sizing = Sizing::new(Batching::Adaptive { max_messages: 500 });
        sizing.observe(1, Duration::from_nanos(nanos));
        sizing
    }

    #[test]
    fn an_unknown_handler_gets_one_message() {
        assert_eq!(Sizing::new(Batching::default()).next(100, 16), 1);
    }

    #[test]
    fn a_slow_handler_gets_one_message_and_all_its_concurrency() {
        assert_eq!(adaptive(20_000_000).next(1000, 16), 1);
    }

    #[test]
    fn a_fast_handler_gets_hundreds() {
        assert_eq!(adaptive(100).next(10_000, 16), 500);
    }

    #[test]
    fn idle_instances_share_what_is_waiting() {
        assert_eq!(adaptive(50_000).next(64, 16), 4);
        assert_eq!(adaptive(50_000).next(64, 1), 20, "a call fills a millisecond");
        assert_eq!(adaptive(1_000).next(64, 16), 64, "not worth sharing");
    }

    #[test]
    fn a_fixed_batch_waits_for_more_but_only_while_it_is_not_full() {
        let sizing = Sizing::new(Batching::Fixed { max_messages: 10, max_wait: Duration::from_millis(5) });
        assert_eq!((sizing.next(25, 1), sizing.next(3, 1)), (10, 3));
        assert_eq!((sizing.hold_back(3), sizing.hold_back(10)), (Some(Duration::from_millis(5)), None));
    }
}
