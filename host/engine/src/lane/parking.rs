//! Parking: a lane that is full of messages which wait behind others that are away gives them back to the broker, so that it has room
//! for what can run, the retry that they wait for before all.
//!
//! Every parked message costs its place in a line here, and a row at the broker. So there is a bound, above which the lane rests until
//! something comes again that it waits for.

use std::time::Duration;

use longshore_core::{Handler, Order, Outputs};

use crate::round::Record;
use crate::verdict::{Fault, Verdict, Verdicts};

use super::{LaneTask, Phase, after};

/// Messages are parked at least so long: the one they wait for may be due and still on its way.
const PARKED_AT_LEAST: Duration = Duration::from_millis(100);
/// Messages that a lane parks, in multiples of what it may hold.
const PARKED_PER_IN_FLIGHT: usize = 10;

impl<H: Handler> LaneTask<H> {
    /// When nothing can move because everything here waits behind messages that are away, gives it back to the broker until then.
    pub(super) fn park_if_stuck(&mut self) {
        let stuck = self.is_full() && self.queue.ready() == 0 && self.running.is_empty() && self.settlement.is_idle();
        self.stuck_until = None;
        if !stuck || self.phase != Phase::Running || self.resting() {
            return;
        }
        let now = self.shared.clock.now();
        if self.queue.parked() >= PARKED_PER_IN_FLIGHT * self.shared.share(self.shared.policy.subscribe.max_in_flight) {
            let due = self.queue.waits_until().unwrap_or_default();
            if due > now {
                self.stuck_until = Some(after(Duration::from_millis(due - now)));
                return;
            }
            // What it waits for is due: there has to be room for it, and only a broker that brings it first keeps the bound.
            self.resting_until = Some(after(PARKED_AT_LEAST));
        }
        self.park(now);
        self.start_settling();
    }

    fn park(&mut self, now: u64) {
        let whole_lane = self.shared.policy.order() == Order::Lane;
        for (picked, due) in self.queue.park() {
            let fault = Fault { class: "parked", message: "it waits behind an earlier message of its key".into() };
            let delay = Duration::from_millis(due.saturating_sub(now)).max(PARKED_AT_LEAST);
            if whole_lane {
                // Nothing here can run before that: more messages would be parked too.
                self.resting_until = self.resting_until.max(Some(after(delay)));
            }
            self.end(&picked, 0);
            let verdict = Verdict::Again { delay, counted: false, fault };
            self.pending.push(Record::new(picked, Verdicts::Each(vec![verdict]), Outputs::default(), true));
        }
    }
}
