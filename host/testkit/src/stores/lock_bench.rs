//! Locks to test on, and what tests do with them.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Lease, Locks, Owner, StoreRoles, Wish};
use tokio::time::Instant;

use super::{Kind, StoreSubject};
use crate::servers::unique;

/// A lease that no test sees the end of.
pub(super) const LONG: Duration = Duration::from_secs(120);
/// How long something may take that a test waits for.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// A lock that no other test has.
pub(super) struct LockBench<'a> {
    pub(super) subject: &'a dyn StoreSubject,
    pub(super) roles: StoreRoles,
    pub(super) name: String,
    pub(super) locks: Arc<dyn Locks>,
}

impl<'a> LockBench<'a> {
    pub(super) async fn new(subject: &'a dyn StoreSubject, _: Kind) -> Self {
        let roles = subject.connect().await;
        LockBench { subject, locks: of(&roles), roles, name: unique("l") }
    }

    /// The same locks as another host has them.
    pub(super) async fn elsewhere(&self) -> Arc<dyn Locks> {
        of(&self.subject.another(&self.roles).await)
    }

    /// Takes it at once, if it is free.
    pub(super) async fn try_take(&self, ttl: Duration) -> Option<Arc<dyn Lease>> {
        self.locks.acquire(wish(&self.name, ttl, Duration::ZERO)).await.expect("it answers")
    }

    pub(super) async fn take(&self, ttl: Duration) -> Arc<dyn Lease> {
        self.try_take(ttl).await.expect("it is free")
    }

    pub(super) async fn is_held(&self) -> bool {
        self.locks.held(&self.name).await.expect("it answers").is_some()
    }

    /// Waits until nobody holds it.
    pub(super) async fn until_free(&self) {
        let begun = Instant::now();
        while self.is_held().await {
            assert!(begun.elapsed() < SOON, "{} is still held", self.name);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// The locks of a store.
pub(super) fn of(roles: &StoreRoles) -> Arc<dyn Locks> {
    roles.locks.clone().expect("the store has the role")
}

/// A wish of nobody in particular.
pub(super) fn wish(name: &str, ttl: Duration, wait: Duration) -> Wish {
    let holder = Owner { host: "host/1".into(), handler: "h".into(), message: "m 1".into() };
    Wish { name: name.into(), ttl, wait, holder }
}
