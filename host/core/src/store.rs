//! The roles that a store can play: buckets of values, as caches and as key-value buckets, and [locks](crate::Locks).
//!
//! One trait serves both: what tells them apart (whether values vanish) is which of a store's two kinds of bucket one has. Sizes, times and
//! names are checked before a call comes here; adapters translate and do not try again.

use std::sync::Arc;
use std::time::Duration;

use crate::BoxFuture;
use crate::broker::{Connection, Role};
use crate::error::StoreError;
use crate::key_pattern::KeyPattern;
use crate::locks::Locks;

/// What a call of a bucket answers.
pub type StoreAnswer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// The largest number that a counter reaches, up and down: every guest language can hold it.
pub const MAX_COUNT: u64 = 1 << 53;

/// Some of the keys that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPage {
    /// In no particular order; a key may come twice while others write.
    pub keys: Vec<String>,
    /// Leads to the next page; `None` after the last. A page may be empty and still have a next.
    pub next: Option<String>,
}

/// What is left of a key's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// There is no such key.
    Missing,
    /// It stays.
    Forever,
    /// It goes when that is over, by the store's clock.
    Span(Duration),
}

/// One named space of keys. Values are bytes; `ttl` is more than zero, and `None` means that the value stays.
///
/// What changes one key is atomic, whoever else changes it from wherever. Time is the store's.
pub trait Bucket: Send + Sync {
    /// The values of `keys`, one answer each in their order, in one round trip.
    fn get<'a>(&'a self, keys: &'a [String]) -> StoreAnswer<'a, Vec<Option<Vec<u8>>>>;

    /// Sets or replaces values and their times, in one round trip. On an error some may be set.
    fn set<'a>(&'a self, entries: &'a [(String, Vec<u8>)], ttl: Option<Duration>) -> StoreAnswer<'a, ()>;

    /// Sets `value` if the key holds `expected`, or nothing where that is `None`. Says whether it did.
    fn swap<'a>(&'a self, key: &'a str, expected: Option<&'a [u8]>, value: &'a [u8], ttl: Option<Duration>) -> StoreAnswer<'a, bool>;

    /// Adds `by` to a decimal number and answers the sum. A missing one is 0, and only then `ttl` applies. [`StoreError::Invalid`] where the
    /// value is no such number, or the sum would be beyond [`MAX_COUNT`].
    fn increment<'a>(&'a self, key: &'a str, by: i64, ttl: Option<Duration>) -> StoreAnswer<'a, i64>;

    /// Removes keys. Says how many were there.
    fn delete<'a>(&'a self, keys: &'a [String]) -> StoreAnswer<'a, u64>;

    /// What is left of a key's time.
    fn left<'a>(&'a self, key: &'a str) -> StoreAnswer<'a, Left>;

    /// A page of the keys that match. A key that is there from the first page to the last is on one of them. [`StoreError::Invalid`] for a
    /// cursor that no page gave.
    fn keys<'a>(&'a self, pattern: &'a KeyPattern, cursor: Option<&'a str>) -> StoreAnswer<'a, KeyPage>;

    /// Removes the keys that match, a page at a time, so that nobody else waits for long. Says how many went.
    fn delete_matching<'a>(&'a self, pattern: &'a KeyPattern) -> StoreAnswer<'a, u64> {
        Box::pin(async move {
            let (mut gone, mut cursor) = (0, None);
            loop {
                let page = self.keys(pattern, cursor.as_deref()).await?;
                if !page.keys.is_empty() {
                    gone += self.delete(&page.keys).await?;
                }
                match page.next {
                    Some(next) => cursor = Some(next),
                    None => return Ok(gone),
                }
            }
        })
    }
}

/// Buckets of one kind in a store.
pub trait Buckets: Send + Sync {
    /// The bucket of that name, which need not be there yet. Asks nobody for anything.
    fn bucket(&self, name: &str) -> Arc<dyn Bucket>;

    /// Values that were dropped from here for want of room since this was opened, as far as this process does that.
    fn dropped(&self) -> u64 {
        0
    }
}

/// The roles of one connected store, each optional but the connection.
#[derive(Clone)]
pub struct StoreRoles {
    /// Ping and close.
    pub connection: Arc<dyn Connection>,
    /// Buckets whose values may vanish.
    pub cache: Role<dyn Buckets>,
    /// Buckets whose values stay.
    pub key_value: Role<dyn Buckets>,
    /// Leases on names.
    pub locks: Role<dyn Locks>,
    /// Buckets for the host alone, whose values stay until their time is over: dedup inboxes.
    pub inbox: Arc<dyn Buckets>,
}
