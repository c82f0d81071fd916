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

/// The reader, seen from outside.
pub(super) struct Reader {
    /// `None` ends it.
    wishes: mpsc::Sender<Option<Wish>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Reader {
    /// Starts the thread on a database that is open.
    pub(super) fn start(path: &Path) -> Result<Self, BrokerError> {
        let connection = open_reader(path)?;
        let (wishes, mut inbox) = mpsc::channel::<Option<Wish>>(WAITING);
        let run = move || {
            while let Some(Some(wish)) = inbox.blocking_recv() {
                wish(&connection);
            }
        };
        let thread = Builder::new().name("longshore-store-reader".into()).spawn(run);
        let thread = thread.map_err(|error| BrokerError::retry(format!("cannot start the store's reader: {error}")))?;
        Ok(Reader { wishes, thread: Mutex::new(Some(thread)) })
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
        self.wishes.send(Some(wish)).await.map_err(|_| closed())?;
        got.await.map_err(|_| closed())?
    }

    /// Ends the thread after what was wished before.
    pub(super) async fn close(&self) {
        // One that has ended needs no telling.
        let _ = self.wishes.send(None).await;
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It was told to end and does nothing that lasts.
            let _ = thread.join();
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store was closed".into())
}
