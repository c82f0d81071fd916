//! The role of a store that grants locks: leases on names, shared by every host on the store.
//!
//! A lease can be over without its holder knowing: a process that was stopped, or a server that lost what it had confirmed, see to that. So each
//! grant has a *fence*, which whatever the lock protects compares. Sizes, times and names are checked before a call comes here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::key_pattern::KeyPattern;
use crate::store::StoreAnswer;

/// Who holds a lock, for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owner {
    /// The host.
    pub host: String,
    /// The handler or job.
    pub handler: String,
    /// The id of the message that it was handling; empty in a job.
    pub message: String,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The lock.
    pub name: String,
    /// How long the lease lasts, more than zero.
    pub ttl: Duration,
    /// How long to wait for it.
    pub wait: Duration,
    /// Who wants it.
    pub holder: Owner,
}

/// A lock that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The lock.
    pub name: String,
    /// Who holds it.
    pub holder: Owner,
    /// The fence of the grant.
    pub fence: u64,
    /// Since when, by the store's clock.
    pub age: Duration,
    /// What is left of the lease, by the store's clock.
    pub left: Duration,
}

/// Some of the locks that are held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeldPage {
    /// In no particular order; one may come twice while it changes hands.
    pub held: Vec<Held>,
    /// Leads to the next page; `None` after the last. A page may be empty and still have a next.
    pub next: Option<String>,
}

/// A lease that was granted. Dropped, it is released in the background.
pub trait Lease: Send + Sync {
    /// Grows with every grant of its name. Below 2^53.
    fn fence(&self) -> u64;

    /// Whether it is still ours as far as is known here: its time is not over, nobody said that it is lost, and it was not released. Asks
    /// nobody. Its time is counted from before it was asked for, so it is over here no later than at the store.
    fn is_ours(&self) -> bool;

    /// It now ends `ttl` from now. Says whether it did: what is over, or another's, cannot be renewed.
    fn renew<'a>(&'a self, ttl: Duration) -> StoreAnswer<'a, bool>;

    /// From now on it is renewed by itself, again and again for what it was last given, until it is released or lost. `false` when it is
    /// lost already.
    fn keep(&self) -> bool;

    /// Releases it. Says whether it was still ours.
    fn release<'a>(&'a self) -> StoreAnswer<'a, bool>;
}

/// The locks of a store. A lease that nobody renews is over when its time is, by the store's clock, and never earlier.
pub trait Locks: Send + Sync {
    /// Takes a lock. `None` when others held it all the time that was given.
    ///
    /// Those who wait on one host get it in the order of asking; a host whose calls had it often in a row lets another host that waits go
    /// first. Dropping the future gives up, and leaves nothing held.
    fn acquire<'a>(&'a self, wish: Wish) -> StoreAnswer<'a, Option<Arc<dyn Lease>>>;

    /// Who holds a lock now.
    fn held<'a>(&'a self, name: &'a str) -> StoreAnswer<'a, Option<Held>>;

    /// A page of the locks that are held and match. [`StoreError::Invalid`](crate::StoreError::Invalid) for a cursor that no page gave.
    fn list<'a>(&'a self, pattern: &'a KeyPattern, cursor: Option<&'a str>) -> StoreAnswer<'a, HeldPage>;

    /// Ends the lease that has this fence, whoever holds it. Says whether it was there.
    fn evict<'a>(&'a self, name: &'a str, fence: u64) -> StoreAnswer<'a, bool>;
}

impl fmt::Debug for dyn Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("fence", &self.fence()).field("is_ours", &self.is_ours()).finish()
    }
}
