//! The baseline of the embedded broker: straight SQLite, as anybody would write it who needed only this one thing.
//!
//! The same durable writes as Longshore's, in as many transactions: rows of the same bytes in a log of the same shape, and a mark. What it
//! does not do is everything else: groups that come and go, retries, wake-ups, or doing any of it from more than one place.

use std::path::Path;

use anyhow::{Context as _, Result};
use longshore_core::row::Row;
use longshore_core::{Clock, Message, Outbox, headers};
use rusqlite::{Connection, params};

use crate::host::OUT;

/// Two logs and a mark.
pub(crate) struct Sqlite {
    connection: Connection,
    next: u64,
    mark: u64,
    rows: Vec<u8>,
    starts: Vec<(u64, usize)>,
    outputs: Outbox,
}

impl Sqlite {
    /// A new file, with the settings of the embedded broker.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let connection = Connection::open(folder.join("plain.db"))?;
        connection.execute_batch(
            "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 2000;
             PRAGMA cache_size = -8192;
             CREATE TABLE log_in(position INTEGER PRIMARY KEY, at INTEGER NOT NULL, row BLOB NOT NULL);
             CREATE TABLE log_out(position INTEGER PRIMARY KEY, at INTEGER NOT NULL, row BLOB NOT NULL);
             CREATE TABLE lanes(id INTEGER PRIMARY KEY, mark INTEGER NOT NULL);
             INSERT INTO lanes VALUES (1, 0);",
        )?;
        let (rows, starts) = (Vec::new(), Vec::new());
        Ok(Sqlite { connection, next: 1, mark: 0, rows, starts, outputs: Outbox::default() })
    }

    /// Appends to the log, in one transaction.
    pub(crate) fn publish(&mut self, outbox: &Outbox) -> Result<()> {
        let transaction = self.connection.transaction()?;
        insert(&transaction, "log_in", outbox, self.next)?;
        transaction.commit()?;
        self.next += outbox.len() as u64;
        Ok(())
    }

    /// Reads up to `batch` messages. Says how many there were.
    pub(crate) fn read(&mut self, batch: usize) -> Result<usize> {
        self.rows.clear();
        self.starts.clear();
        let mut select =
            self.connection.prepare_cached("SELECT position, row FROM log_in WHERE position > ?1 ORDER BY position LIMIT ?2")?;
        let mut rows = select.query(params![self.mark, batch])?;
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(1)?.as_blob()?;
            self.starts.push((row.get(0)?, self.rows.len()));
            self.rows.extend_from_slice(bytes);
        }
        Ok(self.starts.len())
    }

    /// Moves the mark behind what was read, in one transaction; with `publish`, each of them goes to the other log in it.
    pub(crate) fn settle(&mut self, publish: bool) -> Result<()> {
        let Some((mark, _)) = self.starts.last().copied() else { return Ok(()) };
        self.outputs.clear();
        if publish {
            self.make_outputs()?;
        }
        let transaction = self.connection.transaction()?;
        insert(&transaction, "log_out", &self.outputs, self.mark + 1)?;
        transaction.prepare_cached("UPDATE lanes SET mark = ?1 WHERE id = 1")?.execute([mark])?;
        transaction.commit()?;
        self.mark = mark;
        Ok(())
    }

    /// What Longshore writes for a handler that publishes the payload: an id that follows from the message's, and whose effect it is.
    fn make_outputs(&mut self) -> Result<()> {
        let now = Clock::system().now();
        for (position, start) in &self.starts {
            let row = Row::at(&self.rows, *start).context("a whole row")?;
            let (origin, id) = (format!("in/{position}"), format!("in/{position}/0"));
            let headers = [(headers::CORRELATION_ID, origin.as_bytes()), (headers::CAUSATION_ID, origin.as_bytes())];
            let (key, payload) = (row.key(), row.payload());
            self.outputs.push(&Message { id: &id, topic: OUT, key, payload, headers, timestamp: now, attempt: 1 }, 0, *position);
        }
        Ok(())
    }
}

fn insert(connection: &Connection, log: &str, outbox: &Outbox, first: u64) -> Result<()> {
    if outbox.is_empty() {
        return Ok(());
    }
    let mut insert = connection.prepare_cached(&format!("INSERT INTO {log} VALUES (?1, ?2, ?3)"))?;
    for i in 0..outbox.len() {
        insert.execute(params![first + i as u64, outbox.row(i).timestamp(), outbox.row(i).bytes()])?;
    }
    Ok(())
}
