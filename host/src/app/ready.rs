//! What `/readyz` says of a subscription, and of a store.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use longshore_admin::Need;
use longshore_core::Clock;
use longshore_engine::{Activity, Status};

/// What readiness says of a store.
pub(super) fn of_store(name: &str, why: &str) -> String {
    format!("store {name:?}: {why}")
}

/// How often trouble is looked for that no change of activity tells.
const LOOK: Duration = Duration::from_secs(1);
/// Trouble that passes within this is nobody's business.
const PATIENCE: u64 = 3_000;

/// Keeps it true, for ever: met while the broker has confirmed the subscription and what ends can be settled.
pub(super) async fn follow(status: Arc<Status>, need: Need, name: String) -> Infallible {
    let (mut activity, clock) = (status.activity(), Clock::system());
    loop {
        let trouble = status.trouble().filter(|(since, _)| clock.now().saturating_sub(*since) >= PATIENCE);
        match (&*activity.borrow_and_update(), trouble) {
            (Activity::Connecting, _) => need.unmet(format!("subscription {name}: not confirmed yet")),
            (Activity::Waiting(why) | Activity::Stopped(Some(why)), _) => need.unmet(format!("subscription {name}: {why}")),
            (Activity::Running, Some((_, what))) => need.unmet(format!("subscription {name}: {what}")),
            (Activity::Running | Activity::Stopped(None), _) => need.met(),
        }
        tokio::select! {
            changed = activity.changed() => changed.expect("the status outlives its follower"),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
