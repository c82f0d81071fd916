//! A worker: one task that owns at most one instance and answers one call after another with it.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Call, Crash};
use tokio::time::{Instant, timeout};

use crate::handler::Reuse;
use crate::instance::{Instance, Mold, Reply};
use crate::pool::{Seat, Staff};
use crate::room::Ticket;
use crate::stats::Stats;

/// A worker that has had nothing to do for so long ends, and its instance with it.
const IDLE: Duration = Duration::from_secs(60);

/// One call on its way to a worker.
pub(crate) struct Work {
    pub(crate) call: Call,
    pub(crate) reply: Reply,
    pub(crate) queued: Instant,
    pub(crate) seat: Seat,
}

pub(crate) struct Worker {
    pub(crate) queue: async_channel::Receiver<Work>,
    pub(crate) mold: Arc<Mold>,
    pub(crate) reuse: Reuse,
    pub(crate) staff: Arc<Staff>,
    pub(crate) stats: Arc<Stats>,
    /// Whether it is counted out already.
    pub(crate) left: bool,
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.left {
            self.staff.lose();
        }
    }
}

impl Worker {
    /// Works until there is nothing to do for long, or nobody is left who could ask.
    pub(crate) async fn run(mut self) {
        let mut instance = None;
        while let Some(work) = self.next(&mut instance).await {
            self.stats.waited(work.queued.elapsed());
            instance = self.answer(work, instance).await;
        }
    }

    /// The next call. While there is none, the instance is parked, and may have to make room for another.
    async fn next(&mut self, instance: &mut Option<Instance>) -> Option<Work> {
        if let Ok(work) = self.queue.try_recv() {
            return Some(work);
        }
        let parked = instance.take().map(|instance| self.mold.room.park(instance, self.stats.clone()));
        let work = self.wait().await?;
        *instance = parked.and_then(Ticket::back);
        Some(work)
    }

    async fn wait(&mut self) -> Option<Work> {
        loop {
            match timeout(IDLE, self.queue.recv()).await {
                Ok(work) => return work.ok(),
                Err(_) if self.staff.leave() => {
                    self.left = true;
                    return None;
                }
                Err(_) => {}
            }
        }
    }

    /// Does the work and gives back the instance if it may be used again.
    async fn answer(&self, work: Work, instance: Option<Instance>) -> Option<Instance> {
        let Work { call, mut reply, seat, .. } = work;
        if reply.is_closed() {
            return instance;
        }
        let mut instance = match self.ready(instance).await {
            Ok(instance) => instance,
            Err(crash) => {
                self.stats.crashed(&crash);
                let _ = reply.send(Err(crash));
                return None;
            }
        };
        self.stats.busy(true);
        let outcome = instance.call(&call, &mut reply).await;
        self.stats.busy(false);
        drop(call);
        if let Some(answer) = outcome.answer {
            if let Err(crash) = &answer {
                self.stats.crashed(crash);
            }
            drop(seat);
            let _ = reply.send(answer);
        }
        let kept = outcome.reusable && self.reuse.allows(instance.calls);
        self.stats.dropped(!kept);
        kept.then_some(instance)
    }

    async fn ready(&self, instance: Option<Instance>) -> Result<Instance, Crash> {
        if let Some(instance) = instance {
            return Ok(instance);
        }
        let made = self.mold.cast().await?;
        self.stats.made();
        Ok(made)
    }
}
