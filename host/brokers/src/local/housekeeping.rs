//! What a broker does by itself: release delayed messages when their time has come, and remove what need not be kept.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{BrokerError, Clock};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::backend::Backend;
use super::members::Members;
use super::source::sleep_until;

/// Wait before the same is tried again, after an error or without a result.
const PAUSE: Duration = Duration::from_millis(500);

/// Runs until it is aborted.
pub(super) async fn run<B: Backend>(
    backend: Arc<B>,
    clock: Clock,
    mut delayed: watch::Receiver<u64>,
    members: Arc<Members>,
    tidy: Duration,
) {
    let mut ticks = interval_at(Instant::now() + tidy, tidy);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = *delayed.borrow_and_update();
        let result = tokio::select! {
            () = sleep_until(&clock, due) => release(&*backend, clock.now()).await,
            changed = delayed.changed() => match changed {
                Ok(()) => Ok(()),
                Err(_) => return,
            },
            _ = ticks.tick() => clean(&*backend, &clock, &members).await,
        };
        if let Err(error) = result {
            tracing::warn!(%error, "housekeeping failed and is tried again");
            sleep(PAUSE).await;
        }
    }
}

async fn release<B: Backend>(backend: &B, now: u64) -> Result<(), BrokerError> {
    if backend.write(move |broker| broker.release(now)).await? == 0 {
        // Something was due and is not there: what is due could not be read, perhaps, and must not be read without a pause.
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn clean<B: Backend>(backend: &B, clock: &Clock, members: &Arc<Members>) -> Result<(), BrokerError> {
    let left = members.take_left();
    let forgotten = {
        let (left, members) = (left.clone(), members.clone());
        let is_held = move |group: &Arc<str>, topic| members.is_held(group, topic);
        backend.write(move |broker| left.iter().try_for_each(|lane| broker.leave_lane(*lane, &is_held))).await
    };
    forgotten.inspect_err(|_| members.put_back(left))?;
    loop {
        let now = clock.now();
        if !backend.write(move |broker| broker.trim(now)).await? {
            return Ok(());
        }
    }
}

#[cfg(all(test, feature = "memory"))]
mod tests {
    use std::future::ready;

    use longshore_core::Batch;

    use super::*;
    use crate::local::{Broker, Got, Read};
    use crate::memory::MemoryTables;

    /// A backend that can do nothing now.
    struct Broken;

    impl Backend for Broken {
        type Tables = MemoryTables;

        fn write<R, W>(&self, _: W) -> impl Future<Output = Result<R, BrokerError>> + Send
        where
            R: Send + 'static,
            W: FnMut(&mut Broker<MemoryTables>) -> Result<R, BrokerError> + Send + 'static,
        {
            ready(Err(BrokerError::retry("no room")))
        }

        fn read(&self, _: Read, _: Batch) -> impl Future<Output = Result<Got, BrokerError>> + Send {
            ready(Err(BrokerError::retry("no room")))
        }

        fn close(&self) -> impl Future<Output = Result<(), BrokerError>> + Send {
            ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_lane_that_was_left_is_not_forgotten_over_an_error() {
        let members = Arc::new(Members::default());
        drop(members.place(7));
        clean(&Broken, &Clock::system(), &members).await.unwrap_err();
        assert_eq!(members.take_left(), [7]);
    }
}
