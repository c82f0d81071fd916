//! `run --until-idle`: when nothing is left to do.

use std::time::Duration;

use longshore_engine::Activity;

use crate::opened::Brokers;

use super::running::Running;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Looks in a row that have to find nothing: outputs of one handler may be on their way to the next.
const QUIET: u32 = 3;

/// Ends when every subscription is confirmed, nothing is in flight, no group lags, and no retry or delayed message waits.
pub(super) async fn wait(running: &Running, brokers: &Brokers) {
    let mut quiet = 0;
    while quiet < QUIET {
        tokio::time::sleep(LOOK).await;
        quiet = if is_idle(running, brokers).await { quiet + 1 } else { 0 };
    }
}

async fn is_idle(running: &Running, brokers: &Brokers) -> bool {
    let still = running.subscriptions().all(|s| {
        let activity = s.status.activity();
        let state = activity.borrow().clone();
        s.status.in_flight() == 0 && matches!(state, Activity::Running | Activity::Stopped(_))
    });
    if !still {
        return false;
    }
    for opened in brokers.values() {
        let ours = || running.subscriptions().filter(|s| s.broker == opened.config.name);
        if let Some(groups) = &opened.roles.groups {
            let Ok(groups) = groups.list().await else { return false };
            let of_ours = groups.iter().filter(|g| ours().any(|s| s.group.as_deref() == Some(g.group.as_str())));
            if of_ours.into_iter().any(|g| g.lag.is_some_and(|lag| lag > 0) || g.retries > 0) {
                return false;
            }
        }
        if let Some(topics) = &opened.roles.topics {
            let Ok(topics) = topics.list().await else { return false };
            if topics.iter().any(|t| t.delayed > 0) {
                return false;
            }
        }
    }
    true
}
