//! `run --until-idle`: when nothing is left to do.

use std::time::Duration;

use longshore_core::GroupInfo;
use longshore_engine::Activity;

use super::running::{Running, RunningJob};
use crate::opened::{Brokers, Opened};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Looks in a row that have to find nothing: outputs of one handler may be on their way to the next.
const QUIET: u32 = 3;

/// Ends when every job that ends has ended, every subscription that is served is confirmed, nothing is in flight, no group lags, and no retry or
/// delayed message waits.
pub(super) async fn wait(running: &Running, brokers: &Brokers) {
    let mut quiet = 0;
    while quiet < QUIET {
        tokio::time::sleep(LOOK).await;
        quiet = if is_idle(running, brokers).await { quiet + 1 } else { 0 };
    }
}

async fn is_idle(running: &Running, brokers: &Brokers) -> bool {
    let still = running.served().all(|s| {
        let state = s.status.activity().borrow().clone();
        s.status.in_flight() == 0 && matches!(state, Activity::Running | Activity::Stopped(_))
    });
    if !still || running.jobs.iter().any(RunningJob::is_busy) {
        return false;
    }
    for opened in brokers.values() {
        if !nothing_waits(running, opened).await {
            return false;
        }
    }
    true
}

/// Whether nothing waits in a broker for what runs here.
async fn nothing_waits(running: &Running, opened: &Opened) -> bool {
    let ours = || running.served().filter(|s| s.broker == opened.config.name);
    if let Some(groups) = &opened.roles.groups {
        let Ok(groups) = groups.list().await else { return false };
        let waits = |g: &&GroupInfo| g.lag.is_some_and(|lag| lag > 0) || g.retries > 0;
        if groups.iter().filter(waits).any(|g| ours().any(|s| s.reads(&g.group, &g.topic))) {
            return false;
        }
    }
    if let Some(topics) = &opened.roles.topics {
        let Ok(topics) = topics.list().await else { return false };
        let read = |name: &str| ours().any(|s| s.topics.iter().any(|t| t.matches(name)));
        return !topics.iter().any(|t| t.delayed > 0 && read(&t.name));
    }
    true
}
