//! `lock`: leases on names. A call waits for its lock on the guest's fiber: no thread waits with it.
//!
//! A guard that a guest drops is released before the guest goes on; what it still has at the end of its call is released behind it. A handle
//! that it kept beyond that is of a lease that is over.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Lease, Locks, Owner, Wish};
use wasmtime::component::Resource;

use super::publish::LONGEST;
use crate::bindings::lock::{Host, HostGuard};
use crate::bindings::types::Error;
use crate::current::Current;
use crate::state::State;

/// A lease that a guest was granted.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Guard {
    fence: u64,
    /// Nothing once it is released, or its call is over.
    lease: Option<Arc<dyn Lease>>,
}

type Handle = Resource<Guard>;

impl State {
    fn locks(&self, name: &str) -> Result<Arc<dyn Locks>, Error> {
        let found = self.granted.stores.locks.find(name);
        let denied = || Error::Denied(format!("this may not take the lock {name:?}: add it to its stores = {{ locks = [{name:?}] }}"));
        found.cloned().ok_or_else(denied)
    }

    fn lease(&self, guard: &Handle) -> Result<Arc<dyn Lease>, Error> {
        self.resources.get(guard).ok().and_then(|guard| guard.lease.clone()).ok_or(Error::Conflict)
    }

    /// Ends the leases that are left at the end of a call. They are released in the background.
    pub(crate) fn release_locks(&mut self) {
        for rep in std::mem::take(&mut self.guards) {
            if let Ok(guard) = self.resources.get_mut(&Handle::new_borrow(rep)) {
                guard.lease = None;
                self.forgotten += 1;
            }
        }
    }
}

impl Host for State {
    async fn acquire(&mut self, name: String, ttl: u64, wait: u64) -> Result<Handle, Error> {
        let locks = self.locks(&name)?;
        let handler = self.granted.name.to_string();
        let holder = Owner { host: String::new(), handler, message: self.log.with_current(Current::ids) };
        let wish = Wish { name, ttl: span(ttl), wait: span(wait), holder };
        let Some(lease) = locks.acquire(wish).await? else {
            return Err(if wait == 0 { Error::Conflict } else { Error::Timeout });
        };
        let guard = Guard { fence: lease.fence(), lease: Some(lease) };
        let handle = self.resources.push(guard).map_err(|e| Error::Other(format!("too many things are open: {e}")))?;
        self.guards.push(handle.rep());
        Ok(handle)
    }

    async fn held(&mut self, name: String) -> Result<bool, Error> {
        Ok(self.locks(&name)?.held(&name).await?.is_some())
    }
}

impl HostGuard for State {
    fn fence(&mut self, this: Handle) -> wasmtime::Result<u64> {
        Ok(self.resources.get(&this)?.fence)
    }

    async fn renew(&mut self, this: Handle, ttl: u64) -> Result<(), Error> {
        was_ours(self.lease(&this)?.renew(span(ttl)).await?)
    }

    async fn keep(&mut self, this: Handle) -> Result<(), Error> {
        was_ours(self.lease(&this)?.keep())
    }

    fn is_held(&mut self, this: Handle) -> wasmtime::Result<bool> {
        Ok(self.resources.get(&this)?.lease.as_ref().is_some_and(|lease| lease.is_ours()))
    }

    async fn release(&mut self, this: Handle) -> Result<(), Error> {
        let was_there = self.lease(&this)?.release().await?;
        // Dropping the guard does nothing any more.
        if let Ok(guard) = self.resources.get_mut(&this) {
            guard.lease = None;
        }
        was_ours(was_there)
    }

    async fn drop(&mut self, this: Handle) -> wasmtime::Result<()> {
        match self.guards.iter().position(|rep| *rep == this.rep()) {
            Some(place) => drop(self.guards.swap_remove(place)),
            None => self.forgotten = self.forgotten.saturating_sub(1),
        }
        let guard = self.resources.delete(this)?;
        if let Some(lease) = guard.lease {
            // Where that fails, it is tried once more behind the guest, and is over by itself in the end.
            drop(lease.release().await);
        }
        Ok(())
    }
}

fn was_ours(is_ours: bool) -> Result<(), Error> {
    if is_ours { Ok(()) } else { Err(Error::Conflict) }
}

fn span(millis: u64) -> Duration {
    Duration::from_millis(millis.min(LONGEST))
}
