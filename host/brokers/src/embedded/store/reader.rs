//! The thread that reads a store, so that no asynchronous thread ever waits in SQLite. It sees what stands: also a write that has just
//! answered.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use longshore_core::{BrokerError, StoreError};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::embedded::open::open_reader;

/// Readings that may wait.
const WAITING: usize = 1024;

type Wish = Box<dyn FnOnce(&Connection) + Send>;

/// What the thread is told.
enum Order {
    Read(Wish),
    /// Ends it; answers when nothing is left to do.
    Close(oneshot::Sender<()>),
}

/// The reader, seen from outside.
pub(super) struct Reader {
    orders: mpsc::Sender<Order>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Reader {
    /// Starts the thread on a database that is open.
    pub(super) fn start(path: &Path) -> Result<Self, BrokerError> {
        let connection = open_reader(path)?;
        let (orders, inbox) = mpsc::channel(WAITING);
        let run = move || run(&connection, inbox);
        let thread = Builder::new().name("longshore-store-reader".into()).spawn(run);
        let thread = thread.map_err(|error| BrokerError::retry(format!("cannot start the store's reader: {error}")))?;
        Ok(Reader { orders, thread: Mutex::new(Some(thread)) })
    }

    /// Runs `work` on the thread.
    pub(super) async fn read<R, W>(&self, work: W) -> Result<R, StoreError>
    where
        R: Send + 'static,
        W: FnOnce(&Connection) -> Result<R, StoreError> + Send + 'static,
    {
        let (answer, got) = oneshot::channel();
        // Whoever asked may not wait any more.
        let wish: Wish = Box::new(move |connection| drop(answer.send(work(connection))));
        self.orders.send(Order::Read(wish)).await.map_err(|_| closed())?;
        got.await.map_err(|_| closed())?
    }

    /// Ends the thread after what was wished before.
    pub(super) async fn close(&self) {
        let (answer, ended) = oneshot::channel();
        // One that has ended needs no telling, and does not answer.
        let _ = self.orders.send(Order::Close(answer)).await;
        let _ = ended.await;
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It has answered, so nothing but its end is left.
            let _ = thread.join();
        }
    }
}

fn run(connection: &Connection, mut inbox: mpsc::Receiver<Order>) {
    while let Some(order) = inbox.blocking_recv() {
        match order {
            Order::Read(wish) => wish(connection),
            // Whoever closes may not wait any more.
            Order::Close(answer) => {
                let _ = answer.send(());
                return;
            }
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store was closed".into())
}
