//! Locks in stores.

use std::sync::Arc;
use std::time::Duration;

use longshore_admin::ControlError;
use longshore_admin::control::{Answer, LockControl};
use longshore_admin::model::{Lock, LockList};
use longshore_core::{Held, KeyPattern, Locks, Owner};

use super::HostControl;
use super::stores::told;

impl HostControl {
    fn locks_of(&self, store: Option<&str>) -> Result<Arc<dyn Locks>, ControlError> {
        let (name, store) = self.store(store)?;
        store.locks().ok_or_else(|| ControlError::unsupported(format!("store {name:?} has no locks")))
    }
}

impl LockControl for HostControl {
    fn locks<'a>(&'a self, store: Option<&'a str>, pattern: &'a str, cursor: Option<&'a str>) -> Answer<'a, LockList> {
        Box::pin(async move {
            let page = self.locks_of(store)?.list(&KeyPattern::new(pattern), cursor).await.map_err(told)?;
            Ok(LockList { locks: page.held.into_iter().map(shown).collect(), next: page.next })
        })
    }

    fn lock<'a>(&'a self, store: Option<&'a str>, name: &'a str) -> Answer<'a, Lock> {
        Box::pin(async move { self.locks_of(store)?.held(name).await.map_err(told)?.map(shown).ok_or_else(|| free(name)) })
    }

    fn release_lock<'a>(&'a self, store: Option<&'a str>, name: &'a str, fence: Option<u64>) -> Answer<'a, Lock> {
        Box::pin(async move {
            let locks = self.locks_of(store)?;
            let held = locks.held(name).await.map_err(told)?.ok_or_else(|| free(name))?;
            if let Some(fence) = fence.filter(|fence| *fence != held.fence) {
                let now = held.fence;
                return Err(ControlError::not_found(format!("the grant {fence} of {name:?} is over: it is held with {now} now")));
            }
            // The grant that was looked at, and no other's.
            match locks.evict(name, held.fence).await.map_err(told)? {
                true => {
                    let Owner { host, handler, message } = &held.holder;
                    tracing::warn!(lock = name, fence = held.fence, host, handler, message, "its lease was ended by an operator");
                    Ok(shown(held))
                }
                false => Err(free(name)),
            }
        })
    }
}

fn shown(held: Held) -> Lock {
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let Held { name, holder: Owner { host, handler, message }, fence, age, left } = held;
    Lock { name, host, handler, message, fence, age_ms: millis(age), left_ms: millis(left) }
}

fn free(name: &str) -> ControlError {
    ControlError::not_found(format!("nobody holds the lock {name:?}"))
}
