//! The asynchronous side of a broker in this process: one value that plays all roles.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_core::{BrokerError, Clock, Roles};
use tokio::task::JoinSet;

use super::backend::Backend;
use super::broker::{Broker, Checked, Signals};
use super::housekeeping;
use super::inboxes::Inboxes;
use super::members::Members;

/// A broker in this process, in all its roles.
pub(crate) struct Local<B> {
    pub(super) backend: Arc<B>,
    pub(super) clock: Clock,
    pub(super) signals: Signals,
    pub(super) members: Arc<Members>,
    pub(super) inboxes: Inboxes,
    tasks: Mutex<JoinSet<()>>,
}

impl<B: Backend> Local<B> {
    /// The broker behind `backend`, whose wake-ups come by `signals`. Must be called inside a tokio runtime; `tidy` is how often it looks for
    /// what may go, at least a millisecond.
    pub(crate) fn start(backend: B, clock: Clock, signals: Signals, tidy: Duration) -> Arc<Self> {
        let (backend, members) = (Arc::new(backend), Arc::new(Members::default()));
        let tidy = tidy.max(Duration::from_millis(1));
        let mut tasks = JoinSet::new();
        tasks.spawn(housekeeping::run(backend.clone(), clock.clone(), signals.delayed.subscribe(), members.clone(), tidy));
        Arc::new(Local { backend, clock, signals, members, inboxes: Inboxes::default(), tasks: Mutex::new(tasks) })
    }

    /// Its roles: all of them.
    pub(crate) fn roles(self: &Arc<Self>) -> Roles {
        Roles {
            connection: self.clone(),
            consumer: Some(Arc::new(super::consumer::Joining(self.clone()))),
            publisher: Some(self.clone()),
            topics: Some(self.clone()),
            groups: Some(self.clone()),
            dead_letters: Some(self.clone()),
        }
    }

    /// Runs `work` on the broker with the time of now.
    pub(crate) async fn run<R, W>(&self, mut work: W) -> Result<R, BrokerError>
    where
        R: Send + 'static,
        W: FnMut(&mut Broker<B::Tables>, u64) -> Result<R, BrokerError> + Send + 'static,
    {
        let now = self.clock.now();
        self.backend.write(move |broker| work(broker, now)).await
    }

    /// The same for work that may refuse.
    pub(super) async fn ask<R, W>(&self, work: W) -> Result<R, BrokerError>
    where
        R: Send + 'static,
        W: FnMut(&mut Broker<B::Tables>, u64) -> Result<Checked<R>, BrokerError> + Send + 'static,
    {
        self.run(work).await?
    }

    /// Ends the housekeeping.
    pub(super) fn stop(&self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}
