//! The broker's tables in SQL. Every statement is prepared once and kept.

mod delays;
mod inboxes;
mod lanes;
mod logs;
mod retries;

use longshore_core::BrokerError;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};

use super::trouble::trouble;
use crate::local::Tables;

type Result<T> = std::result::Result<T, BrokerError>;

/// Free pages that are given back in one transaction.
const VACUUM_STEP: u32 = 512;
/// Free pages that are kept for what comes.
const FREE_PAGES: u32 = 128;

/// The writer's connection and the numbers that it gives out.
pub(crate) struct SqliteTables {
    connection: Connection,
    last_retry: u64,
    last_delay: u64,
    scratch: Vec<u8>,
}

impl SqliteTables {
    /// The tables of an opened database.
    pub(super) fn new(connection: Connection) -> Result<Self> {
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u64>(0)).map_err(trouble);
        let last_retry = number("SELECT coalesce(max(id), 0) FROM retries")?;
        let last_delay = number("SELECT max(value, (SELECT coalesce(max(id), 0) FROM delayed)) FROM meta WHERE name = 'last-delay'")?;
        Ok(SqliteTables { connection, last_retry, last_delay, scratch: Vec::new() })
    }

    /// The connection.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>> {
        self.connection.prepare_cached(sql).map_err(trouble)
    }

    fn execute(&self, sql: &str, params: impl Params) -> Result<u64> {
        self.prepare(sql)?.execute(params).map(|rows| rows as u64).map_err(trouble)
    }

    fn first<T>(&self, sql: &str, params: impl Params, read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>) -> Result<Option<T>> {
        self.prepare(sql)?.query_row(params, read).optional().map_err(trouble)
    }

    fn count(&self, sql: &str, params: impl Params) -> Result<u64> {
        self.prepare(sql)?.query_row(params, |row| row.get(0)).map_err(trouble)
    }

    fn all<T>(&self, sql: &str, params: impl Params, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>> {
        let mut statement = self.prepare(sql)?;
        statement.query_map(params, read).and_then(Iterator::collect).map_err(trouble)
    }
}

impl Tables for SqliteTables {
    fn tidy(&mut self) -> Result<bool> {
        let free = self.count("PRAGMA freelist_count", [])?;
        if free <= u64::from(FREE_PAGES) {
            return Ok(false);
        }
        self.connection.execute_batch(&format!("PRAGMA incremental_vacuum({VACUUM_STEP})")).map_err(trouble)?;
        Ok(free > u64::from(FREE_PAGES + VACUUM_STEP))
    }
}

/// SQLite has signed numbers; what is beyond them is as good as for ever.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
