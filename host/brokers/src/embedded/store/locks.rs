//! Locks in a file: each change is a piece of work of the one thread that writes, so it stands before it is answered.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, Held, HeldPage, KeyPattern, Owner, StoreError};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use super::Store;
use super::rows::{signed, store};
use crate::embedded::writer::Books as _;
use crate::leases::rows::{self, PAGE, Row, Rows, RowsMut};
use crate::leases::{Claim, Register, Taken, Which};

type Result<T> = std::result::Result<T, StoreError>;

/// Leases that are over, left behind by hosts that died, and go with each that is granted.
const SWEEP: u32 = 8;

/// The locks of a file.
pub(super) struct InFile {
    pub(super) file: Arc<Store>,
    pub(super) clock: Clock,
}

impl InFile {
    async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Table<'_>, u64) -> Result<T> + Send + 'static) -> Result<T> {
        let now = self.clock.now();
        self.file.reader.read(move |connection: &Connection| work(&Table(connection), now)).await
    }

    /// The time is that at which the work is done, not that at which it was ordered: two pieces of work never see it go back.
    async fn write<T, W>(&self, mut work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnMut(&mut Table<'_>, u64) -> Result<T> + Send + 'static,
    {
        let clock = self.clock.clone();
        self.file.write(move |books| work(&mut Table(books.connection()), clock.now())).await
    }
}

impl Register for InFile {
    async fn take(&self, claim: &Claim, _again: bool) -> Result<Taken> {
        let claim = claim.clone();
        self.write(move |table, now| rows::take(table, &claim, now)).await
    }

    async fn renew(&self, claim: &Claim, _fence: u64, _mark: u64, ttl: Duration) -> Result<Option<u64>> {
        let Claim { name, token, .. } = claim.clone();
        self.write(move |table, now| rows::renew(table, &name, &token, ttl, now)).await
    }

    async fn end(&self, name: &str, which: Which<'_>) -> Result<bool> {
        let name = name.to_owned();
        match which {
            Which::Token(token, mark) => {
                let token = token.to_owned();
                self.write(move |table, now| rows::end(table, &name, Which::Token(&token, mark), now)).await
            }
            Which::Fence(fence) => self.write(move |table, now| rows::end(table, &name, Which::Fence(fence), now)).await,
        }
    }

    async fn held(&self, name: &str) -> Result<Option<Held>> {
        let name = name.to_owned();
        self.read(move |table, now| rows::held(table, &name, now)).await
    }

    async fn list(&self, pattern: &KeyPattern, cursor: Option<&str>) -> Result<HeldPage> {
        let (pattern, cursor) = (pattern.clone(), cursor.map(str::to_owned));
        self.read(move |table, now| rows::list(table, &pattern, cursor.as_deref(), now)).await
    }
}

/// The table, as it stands or inside a transaction.
struct Table<'a>(&'a Connection);

const COLUMNS: &str = "name, token, fence, host, handler, message, since, expires";

fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        name: row.get(0)?,
        token: row.get(1)?,
        fence: row.get(2)?,
        holder: Owner { host: row.get(3)?, handler: row.get(4)?, message: row.get(5)? },
        since: row.get(6)?,
        expires: row.get(7)?,
    })
}

impl Rows for Table<'_> {
    fn get(&self, name: &str) -> Result<Option<Row>> {
        let mut select = self.0.prepare_cached(&format!("SELECT {COLUMNS} FROM locks WHERE name = ?1")).map_err(store)?;
        select.query_row([name], row).optional().map_err(store)
    }

    fn after(&self, after: Option<&str>) -> Result<Vec<Row>> {
        let sql = format!("SELECT {COLUMNS} FROM locks WHERE ?1 IS NULL OR name > ?1 ORDER BY name LIMIT {PAGE}");
        let mut select = self.0.prepare_cached(&sql).map_err(store)?;
        select.query_map([after], row).and_then(Iterator::collect).map_err(store)
    }
}

impl RowsMut for Table<'_> {
    fn put(&mut self, row: Row, now: u64) -> Result<()> {
        let sweep = "DELETE FROM locks WHERE name IN (SELECT name FROM locks WHERE expires < ?1 ORDER BY expires LIMIT ?2)";
        self.0.prepare_cached(sweep).map_err(store)?.execute(params![signed(now), SWEEP]).map_err(store)?;
        let sql = format!("INSERT OR REPLACE INTO locks({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
        let mut insert = self.0.prepare_cached(&sql).map_err(store)?;
        let Row { name, token, fence, holder, since, expires } = row;
        let values = params![name, token, fence, holder.host, holder.handler, holder.message, signed(since), signed(expires)];
        insert.execute(values).map(drop).map_err(store)
    }

    fn remove(&mut self, name: &str) -> Result<()> {
        self.0.prepare_cached("DELETE FROM locks WHERE name = ?1").map_err(store)?.execute([name]).map(drop).map_err(store)
    }

    fn next_fence(&mut self) -> Result<u64> {
        let mut next = self.0.prepare_cached("UPDATE last_fence SET fence = fence + 1 RETURNING fence").map_err(store)?;
        next.query_row([], |row| row.get(0)).map_err(store)
    }
}
