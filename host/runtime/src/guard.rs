//! Runs one call of a guest within its bounds: computing time, wall time, and whether anybody still waits for it.
//!
//! An epoch stops a guest that computes; it cannot wake one that is parked in a host call, so every call also races a timer.

use std::pin::pin;
use std::time::Duration;

use crate::limits::{CpuMeter, Metered};

/// How a call ended.
pub(crate) enum Ended<T> {
    /// The guest answered, or trapped.
    Itself(wasmtime::Result<T>),
    /// The wall time was over.
    Deadline,
    /// Nobody waits any more.
    Abandoned,
}

/// Runs `call`. `None` for a deadline: as long as it takes.
pub(crate) async fn run<T>(
    call: impl Future<Output = wasmtime::Result<T>>,
    meter: &CpuMeter,
    deadline: Option<Duration>,
    abandoned: impl Future<Output = ()>,
) -> Ended<T> {
    let call = Metered { call: pin!(call), meter };
    let deadline = async {
        match deadline {
            Some(deadline) => tokio::time::sleep(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        answer = call => Ended::Itself(answer),
        () = deadline => Ended::Deadline,
        () = abandoned => Ended::Abandoned,
    }
}
