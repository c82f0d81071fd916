//! Jobs: programs of their own, run once or again by their restart policy.

use std::time::Duration;

use longshore_engine::Reconnect;
use longshore_runtime::Job;
use tokio_util::sync::CancellationToken;

use crate::config::Restart;

/// Waits before a job that ended is run again.
const WAITS: Reconnect = Reconnect::without_end(Duration::from_secs(1), Duration::from_secs(60));

/// Runs the job until its policy says that it is over, or until `stop`, after which it has until `abort`. An error is the last failure.
pub(super) async fn run(name: &str, job: &Job, restart: Restart, stop: CancellationToken, abort: CancellationToken) -> Result<(), String> {
    let mut failures = 0;
    loop {
        let ended = tokio::select! {
            ended = job.run(stop.clone()) => ended,
            () = abort.cancelled() => return Ok(()),
        };
        let failure = match ended {
            Ok(Ok(())) => None,
            Ok(Err(said)) => Some(said),
            Err(crash) => Some(crash.to_string()),
        };
        match &failure {
            Some(failure) => tracing::error!(job = name, "the job failed: {failure}"),
            None => tracing::info!(job = name, "the job ended"),
        }
        let again = match restart {
            Restart::Never => false,
            Restart::OnFailure => failure.is_some(),
            Restart::Always => true,
        };
        if !again || stop.is_cancelled() {
            return failure.map_or(Ok(()), Err);
        }
        failures = if failure.is_some() { failures + 1 } else { 1 };
        tokio::select! {
            () = tokio::time::sleep(WAITS.delay(failures)) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}
