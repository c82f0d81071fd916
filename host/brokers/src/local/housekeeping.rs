//! What a broker does by itself: release delayed messages when their time has come, and remove what need not be kept.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{BrokerError, Clock};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::backend::Backend;
use super::members::Members;
use super::source::sleep_until;

/// Wait after an error before the same is tried again.
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
    backend.write(move |broker| broker.release(now)).await
}

async fn clean<B: Backend>(backend: &B, clock: &Clock, members: &Members) -> Result<(), BrokerError> {
    let gone = members.take_gone();
    backend.write(move |broker| gone.iter().try_for_each(|lane| broker.forget_lane(*lane))).await?;
    loop {
        let now = clock.now();
        if !backend.write(move |broker| broker.trim(now)).await? {
            return Ok(());
        }
    }
}
