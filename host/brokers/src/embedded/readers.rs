//! Threads that read logs, each with a connection of its own. A topic is always read by the same one.

use std::path::Path;
use std::thread::{Builder, JoinHandle};

use longshore_core::row::Row;
use longshore_core::{Batch, BrokerError};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::open::open_reader;
use super::trouble::trouble;
use crate::local::{Filler, Got, Read};

type Result<T> = std::result::Result<T, BrokerError>;

/// How many.
const READERS: usize = 2;
/// Readings that may wait at one of them.
const WAITING: usize = 256;

struct Wish {
    read: Read,
    batch: Batch,
    answer: oneshot::Sender<Result<Got>>,
}

/// The readers, seen from outside.
pub(super) struct Readers {
    wishes: Vec<mpsc::Sender<Option<Wish>>>,
    threads: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    /// Starts the threads on a database that is open.
    pub(super) fn start(path: &Path) -> Result<Self> {
        let (mut wishes, mut threads) = (Vec::new(), Vec::new());
        for _ in 0..READERS {
            let connection = open_reader(path)?;
            let (sender, inbox) = mpsc::channel(WAITING);
            let thread = Builder::new().name("longshore-reader".into()).spawn(move || run(&connection, inbox));
            threads.push(thread.map_err(|error| BrokerError::retry(format!("cannot start a reader's thread: {error}")))?);
            wishes.push(sender);
        }
        Ok(Readers { wishes, threads: std::sync::Mutex::new(threads) })
    }

    /// Reads on the topic's thread.
    pub(super) async fn read(&self, read: Read, batch: Batch) -> Result<Got> {
        let (answer, got) = oneshot::channel();
        let reader = &self.wishes[usize::try_from(read.topic).unwrap_or(0) % READERS];
        reader.send(Some(Wish { read, batch, answer })).await.map_err(|_| closed())?;
        got.await.map_err(|_| closed())?
    }

    /// Ends the threads after what was wished before.
    pub(super) async fn close(&self) {
        for reader in &self.wishes {
            // One that has ended needs no telling.
            let _ = reader.send(None).await;
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for thread in threads {
            // It was told to end and does nothing that lasts.
            let _ = thread.join();
        }
    }
}

fn run(connection: &Connection, mut inbox: mpsc::Receiver<Option<Wish>>) {
    while let Some(Some(Wish { read, batch, answer })) = inbox.blocking_recv() {
        // Nobody waits any more: the lane is gone.
        let _ = answer.send(fill(connection, &read, batch));
    }
}

fn fill(connection: &Connection, read: &Read, batch: Batch) -> Result<Got> {
    let mut filler = Filler::new(read, batch);
    let (from, until) = (signed(read.from), signed(read.until));
    let sql = if read.downwards {
        format!("SELECT position, row FROM log_{} WHERE position < ?1 AND ?2 ORDER BY position DESC", read.topic)
    } else {
        format!("SELECT position, row FROM log_{} WHERE position > ?1 AND position <= ?2 ORDER BY position", read.topic)
    };
    let mut statement = match connection.prepare_cached(&sql) {
        Ok(statement) => statement,
        Err(error) if is_no_such_table(&error) => return Ok(filler.finish(true)),
        Err(error) => return Err(trouble(error)),
    };
    let mut rows = statement.query([from, until]).map_err(trouble)?;
    while let Some(row) = rows.next().map_err(trouble)? {
        let position: u64 = row.get(0).map_err(trouble)?;
        let bytes = row.get_ref(1).and_then(|value| Ok(value.as_blob()?)).map_err(trouble)?;
        let packed = Row::at(bytes, 0).ok_or_else(|| damaged(&read.name, position))?;
        if !filler.take(position, packed) {
            return Ok(filler.finish(false));
        }
    }
    Ok(filler.finish(true))
}

/// The topic was removed while somebody read it.
fn is_no_such_table(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::Unknown) && error.to_string().contains("no such table")
}

fn damaged(topic: &str, position: u64) -> BrokerError {
    BrokerError::repair(format!("the database is damaged: message {topic}/{position} cannot be read"))
}

fn closed() -> BrokerError {
    BrokerError::reconnect("the database was closed")
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
