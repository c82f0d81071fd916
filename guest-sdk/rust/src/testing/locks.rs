//! Locks in memory, with leases that end by the test's clock. Nothing waits: what would, is over at once.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use super::state::current;
use crate::Error;

/// The leases that were ever granted, by name.
#[derive(Debug, Default)]
pub(super) struct Locks {
    leases: BTreeMap<String, Lease>,
}

impl Locks {
    /// Ends the lease of a name, kept or not.
    pub(super) fn lose(&mut self, name: &str, now: SystemTime) {
        if let Some(lease) = self.leases.get_mut(name) {
            (lease.ends, lease.kept) = (now, false);
        }
    }
}

/// The last one of a name.
#[derive(Debug)]
struct Lease {
    fence: u64,
    ends: SystemTime,
    /// Renewed as long as it is held.
    kept: bool,
}

/// The double of a lease that is held.
#[derive(Debug)]
pub(crate) struct Guard {
    name: String,
    fence: u64,
}

/// Nobody releases a lock while a test's one thread waits, so a wait is over at once.
pub(crate) fn acquire(name: &str, ttl: u64, wait: u64) -> Result<Guard, Error> {
    if ttl == 0 {
        return Err(Error::Invalid("a ttl of 0".to_owned()));
    }
    if held(name)? {
        return Err(if wait == 0 { Error::Conflict } else { Error::Timeout });
    }
    let state = current();
    let ends = state.now.get() + Duration::from_millis(ttl);
    let mut locks = state.locks.borrow_mut();
    let fence = locks.leases.get(name).map_or(0, |lease| lease.fence) + 1;
    locks.leases.insert(name.to_owned(), Lease { fence, ends, kept: false });
    Ok(Guard { name: name.to_owned(), fence })
}

pub(crate) fn held(name: &str) -> Result<bool, Error> {
    let state = current();
    state.check(name)?;
    Ok(state.locks.borrow().leases.get(name).is_some_and(|lease| lease.lasts(state.now.get())))
}

impl Lease {
    /// A kept one does not run out, however far a test moves its clock at once.
    fn lasts(&self, now: SystemTime) -> bool {
        self.kept || self.ends > now
    }
}

impl Guard {
    pub(crate) fn fence(&self) -> u64 {
        self.fence
    }

    pub(crate) fn renew(&self, ttl: u64) -> Result<(), Error> {
        if ttl == 0 {
            return Err(Error::Invalid("a ttl of 0".to_owned()));
        }
        self.ours(|lease, now| lease.ends = now + Duration::from_millis(ttl))
    }

    pub(crate) fn keep(&self) -> Result<(), Error> {
        self.ours(|lease, _| lease.kept = true)
    }

    pub(crate) fn is_held(&self) -> bool {
        self.ours(|_, _| ()).is_ok()
    }

    pub(crate) fn release(&self) -> Result<(), Error> {
        self.ours(|lease, now| (lease.ends, lease.kept) = (now, false))
    }

    /// Does something with the lease, if it is still ours.
    fn ours(&self, act: impl FnOnce(&mut Lease, SystemTime)) -> Result<(), Error> {
        let state = current();
        let now = state.now.get();
        let mut locks = state.locks.borrow_mut();
        let ours = locks.leases.get_mut(&self.name).filter(|lease| lease.fence == self.fence && lease.lasts(now));
        act(ours.ok_or(Error::Conflict)?, now);
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Where it is no longer ours, there is nothing to release.
        let _ = self.release();
    }
}
