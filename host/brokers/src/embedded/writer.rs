//! The one thread that writes. Whatever waits for it when it is free becomes one transaction: group commit.
//!
//! When that transaction fails, each piece of work is tried again in one of its own, so that only what cannot be done fails.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread::{Builder, JoinHandle};

use longshore_core::BrokerError;
use tokio::sync::{mpsc, oneshot};

use rusqlite::Connection;

use super::lock::Lock;
use super::trouble::trouble;

type Result<T> = std::result::Result<T, BrokerError>;

/// What work is done on, inside a transaction of the writer's.
pub(super) trait Books: Send + 'static {
    /// The one connection that writes.
    fn connection(&mut self) -> &Connection;
    /// The transaction stands.
    fn stands(&mut self);
    /// It does not: what is remembered has to be read again.
    fn reload(&mut self) -> Result<()>;
    /// Writes what has to stand in a file that nobody uses.
    fn leave(&mut self) -> Result<()>;
}

/// Pieces of work that may wait.
const WAITING: usize = 1024;
/// Pieces of work in one transaction.
const GROUP: usize = 256;

/// A piece of work and whoever waits for its answer.
trait Job<B>: Send {
    fn run(&mut self, books: &mut B) -> Result<()>;
    fn answer(self: Box<Self>, stands: Result<()>);
}

struct Work<R, W> {
    work: W,
    result: Option<R>,
    answer: oneshot::Sender<Result<R>>,
}

impl<B, R: Send, W: FnMut(&mut B) -> Result<R> + Send> Job<B> for Work<R, W> {
    fn run(&mut self, books: &mut B) -> Result<()> {
        self.result = Some((self.work)(books)?);
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

enum Order<B> {
    Work(Box<dyn Job<B>>),
    Close(oneshot::Sender<Result<()>>),
}

/// The writer, seen from outside.
pub(super) struct Writer<B> {
    orders: mpsc::Sender<Order<B>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<B: Books> Writer<B> {
    /// Starts the thread. The lock is the thread's and ends with it.
    pub(super) fn start(books: B, lock: Lock) -> Result<Self> {
        let (orders, inbox) = mpsc::channel(WAITING);
        let thread = Builder::new()
            .name("longshore-writer".into())
            .spawn(move || run(books, lock, inbox))
            .map_err(|error| BrokerError::retry(format!("cannot start the database's thread: {error}")))?;
        Ok(Writer { orders, thread: Mutex::new(Some(thread)) })
    }

    /// Runs `work` in a transaction and answers once that stands.
    pub(super) async fn write<R, W>(&self, work: W) -> Result<R>
    where
        R: Send + 'static,
        W: FnMut(&mut B) -> Result<R> + Send + 'static,
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

fn run<B: Books>(mut books: B, lock: Lock, mut inbox: mpsc::Receiver<Order<B>>) {
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
        run_group(&mut books, &mut group);
    }
    inbox.close();
    let result = finish(books);
    drop(lock);
    match (close, result) {
        // Whoever closes may not care how it ended.
        (Some(answer), result) => drop(answer.send(result)),
        (None, Err(error)) => tracing::warn!(%error, "the database was left as after a crash"),
        (None, Ok(())) => {}
    }
}

fn run_group<B: Books>(books: &mut B, group: &mut Vec<Box<dyn Job<B>>>) {
    match transaction(books, group) {
        Ok(()) => group.drain(..).for_each(|job| job.answer(Ok(()))),
        Err(error) if group.len() == 1 => group.drain(..).for_each(|job| job.answer(Err(error.clone()))),
        Err(_) => {
            for mut job in group.drain(..) {
                let stands = transaction(books, std::slice::from_mut(&mut job));
                job.answer(stands);
            }
        }
    }
}

fn transaction<B: Books>(books: &mut B, jobs: &mut [Box<dyn Job<B>>]) -> Result<()> {
    let result = begin(books).and_then(|()| jobs.iter_mut().try_for_each(|job| job.run(books))).and_then(|()| commit(books));
    match &result {
        Ok(()) => books.stands(),
        Err(_) => roll_back(books),
    }
    result
}

fn begin(books: &mut impl Books) -> Result<()> {
    statement(books, "BEGIN")
}

fn commit(books: &mut impl Books) -> Result<()> {
    statement(books, "COMMIT")
}

fn statement(books: &mut impl Books, sql: &str) -> Result<()> {
    books.connection().prepare_cached(sql).and_then(|mut s| s.execute([])).map(|_| ()).map_err(trouble)
}

fn roll_back(books: &mut impl Books) {
    let connection = books.connection();
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a transaction could not be rolled back");
    }
    if let Err(error) = books.reload() {
        tracing::error!(%error, "the database could not be read again after a transaction failed");
    }
}

/// Leaves the file as one that nobody uses: counts stored, marked clean, written back.
fn finish(mut books: impl Books) -> Result<()> {
    let result = begin(&mut books).and_then(|()| books.leave()).and_then(|()| commit(&mut books));
    if result.is_err() {
        roll_back(&mut books);
    }
    let connection = books.connection();
    let written = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(trouble);
    result.and(written)
}

/// The thread is gone.
fn closed() -> BrokerError {
    BrokerError::reconnect("the database was closed")
}
