//! The rows of buckets in SQL. Every statement is prepared once and kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_core::{BrokerError, StoreError};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use crate::embedded::trouble::trouble;
use crate::embedded::writer::Books;
use crate::shelf::{From, Held, Shelf, ShelfMut};

type Result<T> = std::result::Result<T, StoreError>;

/// Bytes that a row takes besides those of its key and value.
const OVERHEAD: u64 = 96;
/// Rows that have expired and go with each that is set.
const SWEEP: u32 = 8;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Cache,
    KeyValue,
    Inbox,
}

/// The writer's connection, and how full its caches are.
pub(super) struct Rows {
    connection: Connection,
    max_size: u64,
    /// Bytes of all caches.
    size: u64,
    /// Values that caches dropped for want of room.
    pub(super) dropped: Arc<AtomicU64>,
}

impl Rows {
    pub(super) fn new(connection: Connection, max_size: u64) -> std::result::Result<Self, BrokerError> {
        let size = weigh(&connection)?;
        Ok(Rows { connection, max_size, size, dropped: Arc::default() })
    }

    /// One table of it, for writing.
    pub(super) fn writing(&mut self, kind: Kind) -> Writing<'_> {
        Writing {
            reading: Reading { connection: &self.connection, kind },
            max_size: self.max_size,
            size: &mut self.size,
            dropped: &self.dropped,
        }
    }
}

fn weigh(connection: &Connection) -> std::result::Result<u64, BrokerError> {
    connection.query_row("SELECT coalesce(sum(weight), 0) FROM cache", [], |row| row.get(0)).map_err(trouble)
}

impl Books for Rows {
    fn connection(&mut self) -> &Connection {
        &self.connection
    }

    fn stands(&mut self) {}

    fn reload(&mut self) -> std::result::Result<(), BrokerError> {
        self.size = weigh(&self.connection)?;
        Ok(())
    }

    fn leave(&mut self) -> std::result::Result<(), BrokerError> {
        Ok(())
    }
}

/// A table as it stands.
pub(super) struct Reading<'a> {
    pub(super) connection: &'a Connection,
    pub(super) kind: Kind,
}

/// A table inside a transaction.
pub(super) struct Writing<'a> {
    reading: Reading<'a>,
    max_size: u64,
    size: &'a mut u64,
    dropped: &'a AtomicU64,
}

impl Reading<'_> {
    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>> {
        self.connection.prepare_cached(sql).map_err(store)
    }
}

impl Shelf for Reading<'_> {
    fn get(&self, bucket: &str, key: &str, now: u64) -> Result<Option<Held>> {
        let read = |row: &Row<'_>| Ok(Held { value: row.get(0)?, expires: row.get(1)? });
        let mut select = self.prepare(match self.kind {
            Kind::Cache => "SELECT value, expires FROM cache WHERE bucket = ?1 AND key = ?2 AND (expires IS NULL OR expires > ?3)",
            Kind::Inbox => "SELECT value, expires FROM inbox WHERE bucket = ?1 AND key = ?2 AND (expires IS NULL OR expires > ?3)",
            Kind::KeyValue => "SELECT value, NULL FROM key_value WHERE bucket = ?1 AND key = ?2 AND ?3 >= 0",
        })?;
        select.query_row(params![bucket, key, signed(now)], read).optional().map_err(store)
    }

    fn names(&self, bucket: &str, from: From<'_>, now: u64) -> Result<Vec<String>> {
        let mut select = self.prepare(match self.kind {
            Kind::Cache => {
                "SELECT key FROM cache WHERE bucket = ?1 AND key >= ?2 AND (?3 IS NULL OR key > ?3) AND (expires IS NULL OR expires > ?4)
                 ORDER BY key"
            }
            Kind::Inbox => {
                "SELECT key FROM inbox WHERE bucket = ?1 AND key >= ?2 AND (?3 IS NULL OR key > ?3) AND (expires IS NULL OR expires > ?4)
                 ORDER BY key"
            }
            Kind::KeyValue => {
                "SELECT key FROM key_value WHERE bucket = ?1 AND key >= ?2 AND (?3 IS NULL OR key > ?3) AND ?4 >= 0 ORDER BY key"
            }
        })?;
        let first = from.after.map_or(from.start, |after| after.max(from.start));
        let mut rows = select.query(params![bucket, first, from.after, signed(now)]).map_err(store)?;
        let mut names = Vec::new();
        while names.len() < from.limit {
            let Some(row) = rows.next().map_err(store)? else { break };
            let key: String = row.get(0).map_err(store)?;
            if !key.starts_with(from.start) {
                break;
            }
            names.push(key);
        }
        Ok(names)
    }
}

impl Shelf for Writing<'_> {
    fn get(&self, bucket: &str, key: &str, now: u64) -> Result<Option<Held>> {
        self.reading.get(bucket, key, now)
    }

    fn names(&self, bucket: &str, from: From<'_>, now: u64) -> Result<Vec<String>> {
        self.reading.names(bucket, from, now)
    }
}

impl ShelfMut for Writing<'_> {
    fn put(&mut self, bucket: &str, key: &str, held: Held, now: u64) -> Result<()> {
        match self.reading.kind {
            Kind::Cache => self.put_into_cache(bucket, key, held, now),
            Kind::Inbox => self.put_into_inbox(bucket, key, held, now),
            Kind::KeyValue => {
                let mut insert = self.reading.prepare(
                    "INSERT INTO key_value(bucket, key, value) VALUES (?1, ?2, ?3) ON CONFLICT(bucket, key) DO UPDATE SET value = ?3",
                )?;
                insert.execute(params![bucket, key, held.value]).map(drop).map_err(store)
            }
        }
    }

    fn remove(&mut self, bucket: &str, key: &str, now: u64) -> Result<bool> {
        match self.reading.kind {
            Kind::Cache => {
                let lived = self.reading.get(bucket, key, now)?.is_some();
                self.forget("DELETE FROM cache WHERE bucket = ?1 AND key = ?2 RETURNING weight", params![bucket, key])?;
                Ok(lived)
            }
            Kind::Inbox => {
                let lived = self.reading.get(bucket, key, now)?.is_some();
                let mut delete = self.reading.prepare("DELETE FROM inbox WHERE bucket = ?1 AND key = ?2")?;
                delete.execute([bucket, key]).map(|_| lived).map_err(store)
            }
            Kind::KeyValue => {
                let mut delete = self.reading.prepare("DELETE FROM key_value WHERE bucket = ?1 AND key = ?2")?;
                delete.execute([bucket, key]).map(|rows| rows > 0).map_err(store)
            }
        }
    }
}

impl Writing<'_> {
    fn put_into_inbox(&mut self, bucket: &str, key: &str, held: Held, now: u64) -> Result<()> {
        let mut sweep = self.reading.prepare(
            "DELETE FROM inbox WHERE (bucket, key) IN (SELECT bucket, key FROM inbox WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
        )?;
        sweep.execute(params![signed(now), SWEEP]).map_err(store)?;
        let mut insert = self.reading.prepare(
            "INSERT INTO inbox VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET value = excluded.value, expires = excluded.expires",
        )?;
        insert.execute(params![bucket, key, held.value, held.expires.map(signed)]).map(drop).map_err(store)
    }

    fn put_into_cache(&mut self, bucket: &str, key: &str, held: Held, now: u64) -> Result<()> {
        self.forget("DELETE FROM cache WHERE bucket = ?1 AND key = ?2 RETURNING weight", params![bucket, key])?;
        self.forget(
            "DELETE FROM cache WHERE id IN (SELECT id FROM cache WHERE expires <= ?1 ORDER BY expires LIMIT ?2) RETURNING weight",
            params![signed(now), SWEEP],
        )?;
        let weight = OVERHEAD + (bucket.len() + key.len() + held.value.len()) as u64;
        if weight > self.max_size {
            // It would have to go at once, and all others with it.
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let mut insert = self.reading.prepare("INSERT INTO cache(bucket, key, value, expires, weight) VALUES (?1, ?2, ?3, ?4, ?5)")?;
        insert.execute(params![bucket, key, held.value, held.expires.map(signed), weight]).map_err(store)?;
        drop(insert);
        *self.size += weight;
        while *self.size > self.max_size {
            let gone = self.forget("DELETE FROM cache WHERE id = (SELECT min(id) FROM cache) RETURNING weight", [])?;
            self.dropped.fetch_add(gone as u64, Ordering::Relaxed);
            if gone == 0 {
                // The table is empty, whatever was counted.
                *self.size = 0;
            }
        }
        Ok(())
    }

    /// Removes rows of a cache by a statement that says what they weighed. Says how many went.
    fn forget(&mut self, sql: &str, params: impl rusqlite::Params) -> Result<usize> {
        let mut delete = self.reading.prepare(sql)?;
        let weights = delete.query_map(params, |row| row.get::<_, u64>(0)).map_err(store)?;
        let mut gone = 0;
        for weight in weights {
            *self.size = self.size.saturating_sub(weight.map_err(store)?);
            gone += 1;
        }
        Ok(gone)
    }
}

pub(super) fn store(error: rusqlite::Error) -> StoreError {
    trouble(error).into()
}

/// SQLite has signed numbers; what is beyond them is as good as for ever.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::open::open_as;
    use crate::embedded::schema::STORE;

    /// A size that says more than there is must not keep the only thread that writes for ever.
    #[test]
    fn a_size_that_was_counted_wrongly_ends_with_an_empty_cache() {
        let folder = tempfile::tempdir().expect("a folder");
        let opened = open_as(&STORE, &folder.path().join("s.db"), None).expect("it opens");
        let mut rows = Rows::new(opened.connection, 1000).expect("it reads");
        rows.size = 100_000;
        let held = || Held { value: vec![0; 100], expires: None };
        rows.writing(Kind::Cache).put("b", "k", held(), 0).expect("it is put");
        assert_eq!(rows.size, 0);
        rows.writing(Kind::Cache).put("b", "k", held(), 0).expect("it is put");
        assert_eq!((rows.size, weigh(&rows.connection)), (198, Ok(198)));
    }
}
