//! The memory store: everything in this process and gone with it, for one host and for tests.

mod cache;
mod inbox;
mod key_value;
mod locks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::{
    BoxFuture, BrokerError, Bucket, Buckets, Clock, Connect, Connection, KeyPage, KeyPattern, Left, Size, StoreAdapter, StoreAnswer,
    StoreRoles,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::leases::rows::steady;
use crate::leases::with_locks;
use crate::shelf::{self, ShelfMut, Swap};
use cache::Cache;
use inbox::Inbox;
use key_value::KeyValue;
use locks::InMemory;

/// A store in this process's memory. What it keeps is gone when the process ends.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Bytes of keys and values above which its caches drop what was not used for long. Key-value buckets are never dropped from.
    #[schemars(extend("x-positive" = true))]
    pub max_size: Size,
}

impl Default for Config {
    fn default() -> Self {
        Config { max_size: Size::from_mib(64) }
    }
}

/// The adapter.
pub struct MemoryStore;

impl StoreAdapter for MemoryStore {
    const NAME: &'static str = "memory";
    type Config = Config;

    fn room(config: &Config) -> Option<u64> {
        Some(config.max_size.bytes())
    }

    fn connect(config: Config, connect: Connect) -> BoxFuture<'static, Result<StoreRoles, BrokerError>> {
        Box::pin(async move { Ok(roles(&config, connect.clock)) })
    }
}

fn roles(config: &Config, clock: Clock) -> StoreRoles {
    let roles = StoreRoles {
        connection: Arc::new(Here),
        cache: Some(Arc::new(Shelves::new(Cache::new(config.max_size.bytes()), clock.clone()))),
        key_value: Some(Arc::new(Shelves::new(KeyValue::default(), clock.clone()))),
        inbox: Arc::new(Shelves::new(Inbox::default(), clock.clone())),
        locks: None,
    };
    with_locks(roles, InMemory::new(steady(&clock)))
}

/// There is nothing that could be lost.
struct Here;

impl Connection for Here {
    fn ping(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// All buckets of a kind, behind one lock that is never held over an await.
struct Shelves<S> {
    shelf: Arc<Mutex<S>>,
    clock: Clock,
}

impl<S> Shelves<S> {
    fn new(shelf: S, clock: Clock) -> Self {
        Shelves { shelf: Arc::new(Mutex::new(shelf)), clock }
    }
}

impl<S: ShelfMut + Send + 'static> Buckets for Shelves<S> {
    fn bucket(&self, name: &str) -> Arc<dyn Bucket> {
        Arc::new(OnShelf { shelf: self.shelf.clone(), name: name.into(), clock: self.clock.clone() })
    }

    fn dropped(&self) -> u64 {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner).dropped()
    }
}

/// One bucket.
struct OnShelf<S> {
    shelf: Arc<Mutex<S>>,
    name: Arc<str>,
    clock: Clock,
}

impl<S> OnShelf<S> {
    fn shelf(&self) -> MutexGuard<'_, S> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that is there already.
fn at_once<'a, T: Send + 'a>(answer: Result<T, longshore_core::StoreError>) -> StoreAnswer<'a, T> {
    Box::pin(std::future::ready(answer))
}

impl<S: ShelfMut + Send + 'static> Bucket for OnShelf<S> {
    fn get<'a>(&'a self, keys: &'a [String]) -> StoreAnswer<'a, Vec<Option<Vec<u8>>>> {
        at_once(shelf::get(&*self.shelf(), &self.name, keys, self.clock.now()))
    }

    fn set<'a>(&'a self, entries: &'a [(String, Vec<u8>)], ttl: Option<Duration>) -> StoreAnswer<'a, ()> {
        at_once(shelf::set(&mut *self.shelf(), &self.name, entries, ttl, self.clock.now()))
    }

    fn swap<'a>(&'a self, key: &'a str, expected: Option<&'a [u8]>, value: &'a [u8], ttl: Option<Duration>) -> StoreAnswer<'a, bool> {
        at_once(shelf::swap(&mut *self.shelf(), &self.name, key, &Swap { expected, value, ttl }, self.clock.now()))
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64, ttl: Option<Duration>) -> StoreAnswer<'a, i64> {
        at_once(shelf::increment(&mut *self.shelf(), &self.name, key, by, ttl, self.clock.now()))
    }

    fn delete<'a>(&'a self, keys: &'a [String]) -> StoreAnswer<'a, u64> {
        at_once(shelf::delete(&mut *self.shelf(), &self.name, keys, self.clock.now()))
    }

    fn left<'a>(&'a self, key: &'a str) -> StoreAnswer<'a, Left> {
        at_once(shelf::left(&*self.shelf(), &self.name, key, self.clock.now()))
    }

    fn keys<'a>(&'a self, pattern: &'a KeyPattern, cursor: Option<&'a str>) -> StoreAnswer<'a, KeyPage> {
        at_once(shelf::keys(&*self.shelf(), &self.name, pattern, cursor, self.clock.now()))
    }
}
