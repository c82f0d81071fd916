//! The one thread that writes. Whatever waits for it when it is free becomes one transaction: group commit.
//!
//! When that transaction fails, each piece of work is tried again in one of its own, so that only what cannot be done fails.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread::{Builder, JoinHandle};

use longshore_core::BrokerError;
use tokio::sync::{mpsc, oneshot};

use super::lock::Lock;
use super::recovery::mark_clean;
use super::tables::SqliteTables;
use super::trouble::trouble;
use crate::local::Broker;

type Result<T> = std::result::Result<T, BrokerError>;
type Books = Broker<SqliteTables>;

/// Pieces of work that may wait.
const WAITING: usize = 1024;
/// Pieces of work in one transaction.
const GROUP: usize = 256;

/// A piece of work and whoever waits for its answer.
trait Job: Send {
    fn run(&mut self, broker: &mut Books) -> Result<()>;
    fn answer(self: Box<Self>, stands: Result<()>);
}

struct Work<R, W> {
    work: W,
    result: Option<R>,
    answer: oneshot::Sender<Result<R>>,
}

impl<R: Send, W: FnMut(&mut Books) -> Result<R> + Send> Job for Work<R, W> {
    fn run(&mut self, broker: &mut Books) -> Result<()> {
        self.result = Some((self.work)(broker)?);
        Ok(())
    }

    fn answer(self: Box<Self>, stands: Result<()>) {
        let Work { work, result, answer } = *self;
        // First, so that whoever asked has what they share with it to themselves again.
        drop(work);
        // Nobody may wait any more: the work stands all the same.
        let _ = answer.send(stands.map(|()| result.expect("work that stands was run")));
    }
}

enum Order {
    Work(Box<dyn Job>),
    Close(oneshot::Sender<Result<()>>),
}

/// The writer, seen from outside.
pub(super) struct Writer {
    orders: mpsc::Sender<Order>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread. The lock is the thread's and ends with it.
    pub(super) fn start(broker: Books, lock: Lock) -> Result<Self> {
        let (orders, inbox) = mpsc::channel(WAITING);
        let thread = Builder::new()
            .name("longshore-writer".into())
            .spawn(move || run(broker, lock, inbox))
            .map_err(|error| BrokerError::retry(format!("cannot start the database's thread: {error}")))?;
        Ok(Writer { orders, thread: Mutex::new(Some(thread)) })
    }

    /// Runs `work` in a transaction and answers once that stands.
    pub(super) async fn write<R, W>(&self, work: W) -> Result<R>
    where
        R: Send + 'static,
        W: FnMut(&mut Books) -> Result<R> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let work = Box::new(Work { work, result: None, answer });
        self.orders.send(Order::Work(work)).await.map_err(|_| closed())?;
        result.await.map_err(|_| closed())?
    }

    /// Ends the thread after everything that was ordered before.
    pub(super) async fn close(&self) -> Result<()> {
        let (answer, result) = oneshot::channel();
        self.orders.send(Order::Close(answer)).await.map_err(|_| closed())?;
        let result = result.await.map_err(|_| closed())?;
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It has answered, so nothing but its end is left.
            let _ = thread.join();
        }
        result
    }
}

fn run(mut broker: Books, lock: Lock, mut inbox: mpsc::Receiver<Order>) {
    let mut group = Vec::with_capacity(GROUP);
    let mut close = None;
    while close.is_none() {
        // Nobody can order anything any more. Nobody holds anything either, since whoever has a lane keeps the broker.
        let Some(first) = inbox.blocking_recv() else { break };
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Work(job) => group.push(job),
                Order::Close(answer) => close = Some(answer),
            }
            next = if group.len() < GROUP && close.is_none() { inbox.try_recv().ok() } else { None };
        }
        run_group(&mut broker, &mut group);
    }
    inbox.close();
    let result = finish(broker);
    drop(lock);
    match (close, result) {
        // Whoever closes may not care how it ended.
        (Some(answer), result) => drop(answer.send(result)),
        (None, Err(error)) => tracing::warn!(%error, "the database was left as after a crash"),
        (None, Ok(())) => {}
    }
}

fn run_group(broker: &mut Books, group: &mut Vec<Box<dyn Job>>) {
    match transaction(broker, group) {
        Ok(()) => group.drain(..).for_each(|job| job.answer(Ok(()))),
        Err(error) if group.len() == 1 => group.drain(..).for_each(|job| job.answer(Err(error.clone()))),
        Err(_) => {
            for mut job in group.drain(..) {
                let stands = transaction(broker, std::slice::from_mut(&mut job));
                job.answer(stands);
            }
        }
    }
}

fn transaction(broker: &mut Books, jobs: &mut [Box<dyn Job>]) -> Result<()> {
    let result = begin(broker).and_then(|()| jobs.iter_mut().try_for_each(|job| job.run(broker))).and_then(|()| commit(broker));
    match &result {
        Ok(()) => broker.signal(),
        Err(_) => roll_back(broker),
    }
    result
}

fn begin(broker: &mut Books) -> Result<()> {
    statement(broker, "BEGIN")
}

fn commit(broker: &mut Books) -> Result<()> {
    statement(broker, "COMMIT")
}

fn statement(broker: &mut Books, sql: &str) -> Result<()> {
    broker.tables().connection().prepare_cached(sql).and_then(|mut s| s.execute([])).map(|_| ()).map_err(trouble)
}

fn roll_back(broker: &mut Books) {
    let connection = broker.tables().connection();
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a transaction could not be rolled back");
    }
    if let Err(error) = broker.reload() {
        tracing::error!(%error, "the database could not be read again after a transaction failed");
    }
}

/// Leaves the file as one that nobody uses: counts stored, marked clean, written back.
fn finish(mut broker: Books) -> Result<()> {
    let result = begin(&mut broker)
        .and_then(|()| broker.save_all_counts())
        .and_then(|()| mark_clean(broker.tables().connection()))
        .and_then(|()| commit(&mut broker));
    if result.is_err() {
        roll_back(&mut broker);
    }
    let connection = broker.tables().connection();
    let written = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(trouble);
    result.and(written)
}

/// The thread is gone.
fn closed() -> BrokerError {
    BrokerError::reconnect("the database was closed")
}
