//! Where the leases of a store stand. Each operation is one step there, whoever else does one from wherever; time is the store's.

use std::time::Duration;

use longshore_core::{Held, HeldPage, KeyPattern, Owner};

use super::Result;

/// A lease that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) name: String,
    /// What the owner is known by; no two claims have the same. Text without spaces.
    pub(crate) token: String,
    pub(crate) ttl: Duration,
    pub(crate) holder: Owner,
}

/// What came of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is granted.
    Yes {
        /// Larger than that of every earlier grant.
        fence: u64,
        /// What finds it again, where that is no work for the store; any number elsewhere.
        mark: u64,
    },
    /// Somebody holds it.
    No {
        /// For how long yet, unless the lease is renewed.
        left: Duration,
        /// Whose it is.
        token: String,
    },
}

/// Which lease is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which<'a> {
    /// The owner's, by token and the last mark that is known of it, 0 for none.
    Token(&'a str, u64),
    /// Whoever's, by fence.
    Fence(u64),
}

/// Leases by name.
pub(crate) trait Register: Send + Sync + 'static {
    /// Takes what nobody holds. `again` says that the same claim was refused before.
    fn take(&self, claim: &Claim, again: bool) -> impl Future<Output = Result<Taken>> + Send;

    /// The lease of that token and mark now ends `ttl` from now; answers its mark from then on. `None` when it is not there any more.
    fn renew(&self, claim: &Claim, fence: u64, mark: u64, ttl: Duration) -> impl Future<Output = Result<Option<u64>>> + Send;

    /// Ends a lease; says whether it was there.
    fn end(&self, name: &str, which: Which<'_>) -> impl Future<Output = Result<bool>> + Send;

    /// Who holds a lock.
    fn held(&self, name: &str) -> impl Future<Output = Result<Option<Held>>> + Send;

    /// A page of what is held.
    fn list(&self, pattern: &KeyPattern, cursor: Option<&str>) -> impl Future<Output = Result<HeldPage>> + Send;

    /// Says for a while that somebody with this seat waits, which others ask for. A store of one host alone has nobody to tell.
    fn say_waiting(&self, name: &str, seat: &str) -> impl Future<Output = Result<()>> + Send {
        let _ = (name, seat);
        std::future::ready(Ok(()))
    }

    /// Whether somebody with another seat says so.
    fn others_wait(&self, name: &str, seat: &str) -> impl Future<Output = Result<bool>> + Send {
        let _ = (name, seat);
        std::future::ready(Ok(false))
    }
}
