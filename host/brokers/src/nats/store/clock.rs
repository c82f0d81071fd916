//! The server's clock, as its answers tell it. A value goes by that one, whatever the clocks of hosts say.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// For how long an answer is good. A clock that drifts by a ten-thousandth is wrong by three milliseconds then.
const GOOD: Duration = Duration::from_secs(30);

/// What the server last said, and when that was heard.
#[derive(Default)]
pub(super) struct ServerClock(Mutex<Option<(u64, Instant)>>);

impl ServerClock {
    /// The server said that time, nanoseconds since the Unix epoch, and it was heard now: since then a little more has passed, so this
    /// clock is late by what the answer took and never early.
    pub(super) fn hear(&self, nanos: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((nanos, Instant::now()));
    }

    /// Nanoseconds since the Unix epoch; `None` where the server has to be asked.
    pub(super) fn now(&self) -> Option<u64> {
        let (said, heard) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let since = heard.elapsed();
        (since <= GOOD).then(|| said.saturating_add(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_the_server_said_goes_on_for_a_while() {
        let clock = ServerClock::default();
        assert_eq!(clock.now(), None);
        clock.hear(1000);
        tokio::time::advance(GOOD).await;
        assert_eq!(clock.now(), Some(30_000_001_000));
        tokio::time::advance(Duration::from_nanos(1)).await;
        assert_eq!(clock.now(), None);
    }
}
