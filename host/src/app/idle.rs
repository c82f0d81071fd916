//! `run --until-idle`: when nothing is left to do.

use std::time::Duration;

use longshore_core::GroupInfo;
use longshore_engine::Activity;
use tokio::time::Instant;

use super::running::{Running, RunningJob};
use crate::opened::{Brokers, Opened};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long nothing may have come from a broker that cannot tell what waits in it.
const SILENCE: Duration = Duration::from_secs(3);
/// Looks in a row that have to find nothing: outputs of one handler may be on their way to the next.
const QUIET: u32 = 3;

/// Ends when every job that ends has ended, every subscription that is served is confirmed, nothing is in flight, no group lags, and no retry or
/// delayed message waits. Where a broker cannot tell what waits, nothing may have come from it for a while instead.
pub(super) async fn wait(running: &Running, brokers: &Brokers) {
    let (mut quiet, mut handled, mut since) = (0, 0, Instant::now());
    while quiet < QUIET {
        tokio::time::sleep(LOOK).await;
        let now = running.served().map(|s| s.status.ended()).sum();
        if now != handled {
            (handled, since) = (now, Instant::now());
        }
        let waits = match is_idle(running, brokers).await {
            Waits::Nothing => false,
            Waits::Something => true,
            Waits::Unknown => since.elapsed() < SILENCE,
        };
        quiet = if waits { 0 } else { quiet + 1 };
    }
}

/// What is known of what waits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Waits {
    Nothing,
    Unknown,
    Something,
}

async fn is_idle(running: &Running, brokers: &Brokers) -> Waits {
    let still = running.served().all(|s| {
        let state = s.status.activity().borrow().clone();
        s.status.in_flight() == 0 && matches!(state, Activity::Running | Activity::Stopped(_))
    });
    if !still || running.jobs.iter().any(RunningJob::is_busy) {
        return Waits::Something;
    }
    let mut waits = Waits::Nothing;
    for opened in brokers.values() {
        waits = waits.max(what_waits(running, opened).await);
    }
    waits
}

/// What waits in a broker for what runs here.
async fn what_waits(running: &Running, opened: &Opened) -> Waits {
    let ours = || running.served().filter(|s| s.broker == opened.config.name);
    if ours().next().is_none() {
        return Waits::Nothing;
    }
    let mut known = Waits::Unknown;
    if let Some(groups) = &opened.roles.groups {
        let Ok(groups) = groups.list().await else { return Waits::Something };
        let of_ours: Vec<GroupInfo> = groups.into_iter().filter(|g| ours().any(|s| s.reads(&g.group, &g.topic))).collect();
        if of_ours.iter().any(|g| g.lag.is_some_and(|lag| lag > 0) || g.retries > 0) {
            return Waits::Something;
        }
        if of_ours.iter().all(|g| g.lag.is_some()) {
            known = Waits::Nothing;
        }
    }
    if let Some(topics) = &opened.roles.topics {
        let Ok(topics) = topics.list().await else { return Waits::Something };
        let read = |name: &str| ours().any(|s| s.topics.iter().any(|t| t.matches(name)));
        if topics.iter().any(|t| t.delayed > 0 && read(&t.name)) {
            return Waits::Something;
        }
    }
    known
}
