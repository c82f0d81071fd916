//! Locks in memory. Nothing of a lock is left once it is released.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::{Clock, Held, HeldPage, KeyPattern, StoreError};

use crate::leases::rows::{self, PAGE, Row, Rows, RowsMut};
use crate::leases::{Claim, Register, Taken, Which};

type Result<T> = std::result::Result<T, StoreError>;

/// All leases, behind one lock that is never held over an await.
pub(super) struct InMemory {
    table: Mutex<Table>,
    clock: Clock,
}

#[derive(Default)]
struct Table {
    rows: BTreeMap<String, Row>,
    last_fence: u64,
}

impl InMemory {
    pub(super) fn new(clock: Clock) -> Self {
        InMemory { table: Mutex::default(), clock }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Register for InMemory {
    async fn take(&self, claim: &Claim, _again: bool) -> Result<Taken> {
        rows::take(&mut *self.table(), claim, self.clock.now())
    }

    async fn renew(&self, claim: &Claim, _fence: u64, _mark: u64, ttl: Duration) -> Result<Option<u64>> {
        rows::renew(&mut *self.table(), &claim.name, &claim.token, ttl, self.clock.now())
    }

    async fn end(&self, name: &str, which: Which<'_>) -> Result<bool> {
        rows::end(&mut *self.table(), name, which, self.clock.now())
    }

    async fn held(&self, name: &str) -> Result<Option<Held>> {
        rows::held(&*self.table(), name, self.clock.now())
    }

    async fn list(&self, pattern: &KeyPattern, cursor: Option<&str>) -> Result<HeldPage> {
        rows::list(&*self.table(), pattern, cursor, self.clock.now())
    }
}

impl Rows for Table {
    fn get(&self, name: &str) -> Result<Option<Row>> {
        Ok(self.rows.get(name).cloned())
    }

    fn after(&self, after: Option<&str>) -> Result<Vec<Row>> {
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self.rows.range::<str, _>((first, Bound::Unbounded)).take(PAGE).map(|(_, row)| row.clone()).collect())
    }
}

impl RowsMut for Table {
    fn put(&mut self, row: Row, _now: u64) -> Result<()> {
        self.rows.insert(row.name.clone(), row);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<()> {
        self.rows.remove(name);
        Ok(())
    }

    fn next_fence(&mut self) -> Result<u64> {
        self.last_fence += 1;
        Ok(self.last_fence)
    }
}
