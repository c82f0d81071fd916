//! Jobs: programs of their own, run once or again by their restart policy.

use std::time::Duration;

use longshore_runtime::Job;
use tokio_util::sync::CancellationToken;

use crate::config::Restart;

/// The first wait before a job that ended is run again.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Runs the job until its policy says that it is over, or until `stop`, after which it has until `abort`. An error is the last failure.
pub(super) async fn run(name: &str, job: &Job, restart: Restart, stop: CancellationToken, abort: CancellationToken) -> Result<(), String> {
    let mut wait = FIRST_WAIT;
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
        wait = if failure.is_some() { wait } else { FIRST_WAIT };
        tokio::select! {
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(LONGEST_WAIT),
            () = stop.cancelled() => return Ok(()),
        }
    }
}
