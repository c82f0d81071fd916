//! Trouble of the host: nobody is charged, the lane rests, longer each time, until the thing that failed works again.

use std::time::Duration;

use longshore_core::Handler;
use tokio::time::Instant;

use crate::backoff::Reconnect;

use super::LaneTask;

/// Waits of a lane: short at first, since most such trouble passes at once.
const TROUBLE: Reconnect = Reconnect::without_end(Duration::from_millis(100), Duration::from_secs(30));

/// What a lane does when it meets trouble. Only the same thing done shows that it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Fetch,
    Handle,
    Settle,
    ExtendLeases,
}

/// Trouble that a lane is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    doing: Doing,
    /// How often in a row.
    times: u32,
}

impl<H: Handler> LaneTask<H> {
    /// The host is in trouble: the lane rests. Answers for how long.
    pub(super) fn trouble(&mut self, doing: Doing, what: &str) -> Duration {
        let rests = self.resting_until.map(|until| until.saturating_duration_since(Instant::now())).filter(|rests| !rests.is_zero());
        if let (Some(rests), Some(trouble)) = (rests, self.trouble)
            && trouble.doing == doing
        {
            // Calls that were under way together meet one trouble, not as many as they are.
            return rests;
        }
        let times = self.trouble.map_or(0, |t| t.times) + 1;
        self.trouble = Some(Trouble { doing, times });
        let wait = TROUBLE.delay(times);
        self.resting_until = Some(Instant::now() + wait);
        self.told.troubled(self.shared.clock.now(), what);
        self.shared.metrics.error("host");
        tracing::warn!(subscription = %self.shared.policy.info.name, lane = %self.id, ?doing, ?wait, "{what}; no attempt is used, trying again");
        wait
    }

    /// That worked: if it was what failed before, the trouble is over.
    pub(super) fn recovered(&mut self, doing: Doing) {
        if self.trouble.is_some_and(|t| t.doing == doing) {
            self.trouble = None;
            self.resting_until = None;
            self.told.well();
            tracing::info!(subscription = %self.shared.policy.info.name, lane = %self.id, "trouble is over");
        }
    }
}
