//! A subscription: joins its group, runs a task per lane, and joins again when the broker was lost.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use longshore_core::{BrokerError, Clock, Consumer, Fix, Handler, Lanes};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::breaker::Circuit;
use crate::lane::{LaneTask, Shared};
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::signal::Signal;
use crate::status::{Activity, Gate, Status};

/// One subscription, ready to run.
pub struct Subscription<H: Handler> {
    /// What is configured.
    pub policy: Policy,
    /// Who handles its messages.
    pub handler: Arc<H>,
    /// Where they come from.
    pub consumer: Arc<dyn Consumer>,
    /// The wall clock.
    pub clock: Clock,
    /// Where it counts.
    pub metrics: Metrics,
    /// Who watches it.
    pub status: Arc<Status>,
    /// Who pauses it.
    pub gate: Arc<Gate>,
}

/// Why a set of lanes ended.
enum Ended {
    /// It was told to.
    Stopped,
    /// The broker lost it.
    Lost(BrokerError),
}

impl<H: Handler> Subscription<H> {
    /// Runs until `drain`, and then until what runs is settled, or `abort`. An error only when a human has to mend something, or the policy
    /// has enough of trying again.
    pub async fn run(self, drain: CancellationToken, abort: CancellationToken) -> Result<(), BrokerError> {
        let shared = self.shared(drain.clone(), abort);
        let mut failures = 0;
        loop {
            self.status.set_activity(Activity::Connecting);
            let began = Instant::now();
            let lost = match self.join(&shared).await {
                Ok(Ended::Stopped) => {
                    self.status.set_activity(Activity::Stopped(None));
                    return Ok(());
                }
                Ok(Ended::Lost(error)) => {
                    // It was connected: what failed before is forgotten once that held for longer than the longest wait.
                    failures = if began.elapsed() > self.policy.reconnect.max { 0 } else { failures };
                    error
                }
                Err(error) => error,
            };
            failures += 1;
            if lost.fix.is_human() || self.policy.reconnect.is_over(failures) {
                self.status.set_activity(Activity::Stopped(Some(lost.what.clone())));
                return Err(lost);
            }
            shared.metrics.error("reconnect");
            let wait = self.policy.reconnect.delay(failures);
            tracing::warn!(subscription = %self.policy.info.name, broker = %self.policy.info.broker, ?wait, "{lost}; connecting again");
            self.status.set_activity(Activity::Waiting(lost.what));
            tokio::select! {
                biased;
                () = drain.cancelled() => {
                    self.status.set_activity(Activity::Stopped(None));
                    return Ok(());
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn shared(&self, drain: CancellationToken, abort: CancellationToken) -> Arc<Shared<H>> {
        Arc::new(Shared {
            handler: Arc::clone(&self.handler),
            clock: self.clock.clone(),
            metrics: self.metrics.subscription(&self.policy.info),
            status: Arc::clone(&self.status),
            gate: self.gate.clone(),
            calls: Arc::new(Semaphore::new(self.policy.concurrency.clamp(1, Semaphore::MAX_PERMITS))),
            circuit: Mutex::new(Circuit::new(self.policy.breaker)),
            lanes: AtomicUsize::new(0),
            lanes_ever: AtomicU32::new(0),
            held_bytes: AtomicUsize::new(0),
            moved: Signal::default(),
            drain,
            abort,
            policy: self.policy.clone(),
        })
    }

    /// Joins the group and runs its lanes until one of them is lost.
    async fn join(&self, shared: &Arc<Shared<H>>) -> Result<Ended, BrokerError> {
        let lanes = tokio::select! {
            biased;
            () = shared.drain.cancelled() => return Ok(Ended::Stopped),
            lanes = self.consumer.subscribe(self.policy.subscribe.clone()) => lanes?,
        };
        self.status.set_activity(Activity::Running);
        let mut tasks = JoinSet::new();
        let ended = self.run_lanes(shared, lanes, &mut tasks).await;
        if let Ended::Lost(_) = ended {
            // The lanes that are left can settle nothing any more, or would compete with those that come.
            tasks.shutdown().await;
        }
        while let Some(joined) = tasks.join_next().await {
            if let Err(error) = joined {
                tracing::error!(subscription = %self.policy.info.name, "a lane ended by a bug: {error}");
            }
        }
        Ok(ended)
    }

    async fn run_lanes(&self, shared: &Arc<Shared<H>>, mut lanes: Lanes, tasks: &mut JoinSet<Result<(), BrokerError>>) -> Ended {
        let mut more = true;
        loop {
            if !more && tasks.is_empty() && !shared.drain.is_cancelled() {
                return Ended::Lost(BrokerError::reconnect("the broker assigns no more lanes"));
            }
            tokio::select! {
                biased;
                Some(joined) = tasks.join_next() => match joined {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Ended::Lost(error),
                    Err(panic) => return Ended::Lost(BrokerError::reconnect(format!("a lane ended by a bug: {panic}"))),
                },
                lane = lanes.next(), if more => match lane {
                    Some(Ok(lane)) => {
                        let task = LaneTask::new(Arc::clone(shared), lane);
                        let counted = LaneCount::new(Arc::clone(shared));
                        tasks.spawn(async move {
                            let _counted = counted;
                            task.run().await
                        });
                    }
                    Some(Err(error)) if error.fix == Fix::Retry => {
                        tracing::warn!(subscription = %self.policy.info.name, "{error}");
                    }
                    Some(Err(error)) => return Ended::Lost(error),
                    None => more = false,
                },
                () = shared.drain.cancelled() => {
                    drop(lanes);
                    while let Some(joined) = tasks.join_next().await {
                        if let Ok(Err(error)) = joined {
                            tracing::warn!(subscription = %self.policy.info.name, "while stopping: {error}");
                        }
                    }
                    return Ended::Stopped;
                }
            }
        }
    }
}

/// Counts a lane as long as it lives, however it ends.
struct LaneCount<H>(Arc<Shared<H>>);

impl<H> LaneCount<H> {
    fn new(shared: Arc<Shared<H>>) -> Self {
        shared.lanes.fetch_add(1, Ordering::Relaxed);
        shared.moved.send();
        shared.status.lane_started();
        LaneCount(shared)
    }
}

impl<H> Drop for LaneCount<H> {
    fn drop(&mut self) {
        self.0.lanes.fetch_sub(1, Ordering::Relaxed);
        self.0.moved.send();
        self.0.status.lane_ended();
    }
}
