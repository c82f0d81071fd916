//! What a register in this process does, over rows that are kept somewhere: the semantics that the memory and the embedded store share.
//!
//! All of it is synchronous and runs in one piece, under a lock or inside a transaction of the caller's.

use std::time::Duration;

use longshore_core::{Clock, Held, HeldPage, KeyPattern, Owner, StoreError};
use tokio::time::Instant;

use super::{Claim, Result, Taken, Which};

/// Locks that one page looks at.
pub(crate) const PAGE: usize = 1000;
/// What every cursor begins with.
const CURSOR: &str = "after:";

/// A lease as it stands. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) fence: u64,
    pub(crate) holder: Owner,
    pub(crate) since: u64,
    /// Afterwards it is over.
    pub(crate) expires: u64,
}

/// Rows that can be read, also of what is over.
pub(crate) trait Rows {
    fn get(&self, name: &str) -> Result<Option<Row>>;
    /// Those whose names come after `after`, in their order, [`PAGE`] at most.
    fn after(&self, after: Option<&str>) -> Result<Vec<Row>>;
}

/// Rows that can be changed.
pub(crate) trait RowsMut: Rows {
    /// Sets or replaces the row of its name.
    fn put(&mut self, row: Row, now: u64) -> Result<()>;
    fn remove(&mut self, name: &str) -> Result<()>;
    /// A number that is larger than every earlier one.
    fn next_fence(&mut self) -> Result<u64>;
}

/// A clock that goes on from what `clock` says now, and that nobody sets. Whoever holds a lease lives in this process, so what a clock was set by
/// while it was not there means nothing to anybody.
pub(crate) fn steady(clock: &Clock) -> Clock {
    let (began, at) = (Instant::now(), clock.now());
    Clock::new(move || at.saturating_add(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)))
}

pub(crate) fn take(rows: &mut impl RowsMut, claim: &Claim, now: u64) -> Result<Taken> {
    if let Some(row) = rows.get(&claim.name)?.filter(|row| row.lives(now)) {
        return Ok(Taken::No { left: row.left(now), token: row.token });
    }
    let fence = rows.next_fence()?;
    let Claim { name, token, ttl, holder } = claim.clone();
    rows.put(Row { name, token, fence, holder, since: now, expires: after(now, ttl) }, now)?;
    Ok(Taken::Yes { fence, mark: 0 })
}

/// The mark of the renewed one.
pub(crate) fn renew(rows: &mut impl RowsMut, name: &str, token: &str, ttl: Duration, now: u64) -> Result<Option<u64>> {
    let Some(row) = rows.get(name)?.filter(|row| row.lives(now) && row.token == token) else { return Ok(None) };
    rows.put(Row { expires: after(now, ttl), ..row }, now)?;
    Ok(Some(0))
}

pub(crate) fn end(rows: &mut impl RowsMut, name: &str, which: Which<'_>, now: u64) -> Result<bool> {
    let is_meant = |row: &Row| match which {
        Which::Token(token, _) => row.token == token,
        Which::Fence(fence) => row.fence == fence,
    };
    let Some(row) = rows.get(name)?.filter(is_meant) else { return Ok(false) };
    // Also what is over goes: nothing else would remove it.
    rows.remove(name)?;
    Ok(row.lives(now))
}

pub(crate) fn held(rows: &impl Rows, name: &str, now: u64) -> Result<Option<Held>> {
    Ok(rows.get(name)?.filter(|row| row.lives(now)).map(|row| row.held(now)))
}

pub(crate) fn list(rows: &impl Rows, pattern: &KeyPattern, cursor: Option<&str>, now: u64) -> Result<HeldPage> {
    let invalid = |cursor: &str| StoreError::Invalid(format!("{cursor:?} is no cursor that a page of locks gave"));
    let after = cursor.map(|cursor| cursor.strip_prefix(CURSOR).ok_or_else(|| invalid(cursor))).transpose()?;
    let mut found = rows.after(after)?;
    let next = (found.len() == PAGE).then(|| found.last().map(|last| format!("{CURSOR}{}", last.name))).flatten();
    found.retain(|row| row.lives(now) && pattern.matches(&row.name));
    Ok(HeldPage { held: found.into_iter().map(|row| row.held(now)).collect(), next })
}

impl Row {
    /// Through the whole of its last millisecond: the one in which it was granted had begun before.
    fn lives(&self, now: u64) -> bool {
        self.expires >= now
    }

    fn left(&self, now: u64) -> Duration {
        Duration::from_millis(self.expires.saturating_sub(now))
    }

    fn held(self, now: u64) -> Held {
        let (age, left) = (Duration::from_millis(now.saturating_sub(self.since)), self.left(now));
        Held { name: self.name, holder: self.holder, fence: self.fence, age, left }
    }
}

/// When a lease is over that is given now: no sooner than asked for.
fn after(now: u64, ttl: Duration) -> u64 {
    now.saturating_add(u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_steady_clock_does_not_follow_one_that_is_set() {
        let says = Arc::new(AtomicU64::new(1_000_000));
        let clock = {
            let says = says.clone();
            Clock::new(move || says.load(Ordering::Relaxed))
        };
        let steady = steady(&clock);
        says.store(9_000_000, Ordering::Relaxed);
        assert_eq!(steady.now(), 1_000_000);
        says.store(0, Ordering::Relaxed);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(steady.now(), 1_001_000);
    }
}
