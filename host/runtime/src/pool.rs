//! The workers of one handler: none at first, another one whenever a call would have to wait, up to the handler's concurrency.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use longshore_core::{Call, Crash, Done};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::handler::Reuse;
use crate::instance::Mold;
use crate::stats::Stats;
use crate::worker::{Work, Worker};

pub(crate) struct Pool {
    inlet: async_channel::Sender<Work>,
    outlet: async_channel::Receiver<Work>,
    mold: Arc<Mold>,
    reuse: Reuse,
    staff: Arc<Staff>,
    stats: Arc<Stats>,
    /// Ends all workers when the handler is dropped.
    workers: Mutex<JoinSet<()>>,
}

/// How many workers there are, and how many calls.
pub(crate) struct Staff {
    most: usize,
    workers: AtomicUsize,
    calls: AtomicUsize,
}

impl Staff {
    /// Counts a call in, and says whether it needs another worker, who is counted then.
    fn enter(&self) -> bool {
        let calls = self.calls.fetch_add(1, SeqCst) + 1;
        let more = |workers: usize| (workers < calls && workers < self.most).then_some(workers + 1);
        self.workers.fetch_update(SeqCst, SeqCst, more).is_ok()
    }

    /// Counts a worker out that ended without asking.
    pub(crate) fn lose(&self) {
        self.workers.fetch_sub(1, SeqCst);
    }

    /// Whether an idle worker may go. It may not when a call has come in the meantime that counted on it.
    pub(crate) fn leave(&self) -> bool {
        let workers = self.workers.fetch_sub(1, SeqCst) - 1;
        let needed = self.calls.load(SeqCst) > workers;
        if needed {
            self.workers.fetch_add(1, SeqCst);
        }
        !needed
    }
}

/// A call that is counted in; dropping it counts it out.
pub(crate) struct Seat(Arc<Staff>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, SeqCst);
    }
}

impl Pool {
    pub(crate) fn new(mold: Mold, reuse: Reuse, concurrency: usize, stats: Arc<Stats>) -> Self {
        let (inlet, outlet) = async_channel::bounded(concurrency);
        let staff = Staff { most: concurrency, workers: AtomicUsize::new(0), calls: AtomicUsize::new(0) };
        Pool { inlet, outlet, mold: Arc::new(mold), reuse, staff: Arc::new(staff), stats, workers: Mutex::default() }
    }

    pub(crate) fn mold(&self) -> &Mold {
        &self.mold
    }

    pub(crate) async fn call(&self, call: Call) -> Result<Done, Crash> {
        if self.staff.enter() {
            self.hire();
        }
        let (reply, answer) = oneshot::channel();
        let work = Work { call, reply, queued: Instant::now(), seat: Seat(self.staff.clone()) };
        let gone = || Crash::Host("the handler was stopped".into());
        self.inlet.send(work).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    fn hire(&self) {
        let worker = Worker {
            queue: self.outlet.clone(),
            mold: self.mold.clone(),
            reuse: self.reuse,
            staff: self.staff.clone(),
            stats: self.stats.clone(),
            left: false,
        };
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        while workers.try_join_next().is_some() {}
        workers.spawn(worker.run());
    }
}
