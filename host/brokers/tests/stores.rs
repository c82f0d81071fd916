//! The conformance suite for stores on those inside this process, and what only they have.

mod support;

use std::path::Path;
use std::sync::{Arc, Mutex};

use longshore_brokers::embedded::EmbeddedStore;
use longshore_brokers::memory::MemoryStore;
use longshore_core::{BoxFuture, BrokerError, Bucket, Buckets, Connect, Connection, StoreAdapter, StoreRoles};
use longshore_testkit::stores::{self, StoreSubject, jumping_clock};
use serde_json::{Value, json};
use support::connect_in;
use tempfile::TempDir;

const OUTLIVES: [&str; 2] = ["what_is_kept_outlives_a_crash", "leases_and_fences_outlive_a_crash"];

/// Stores for which the machine's clock stands an hour before or after the right time, another one each time that it is read.
#[derive(Clone, Copy, PartialEq)]
enum Time {
    Right,
    Jumps,
}

impl Time {
    fn connect_in(self, folder: &Path) -> Connect {
        let right = connect_in(folder);
        if self == Time::Right { right } else { Connect { clock: jumping_clock(), ..right } }
    }
}

async fn memory(config: Value, time: Time) -> StoreRoles {
    let config = serde_json::from_value(config).expect("a good configuration");
    MemoryStore::connect(config, time.connect_in(Path::new("."))).await.expect("memory is always there")
}

async fn embedded(folder: &Path, config: Value, time: Time) -> Result<StoreRoles, BrokerError> {
    let config = serde_json::from_value(config).expect("a good configuration");
    EmbeddedStore::connect(config, time.connect_in(folder)).await
}

struct Memory(Time);

impl StoreSubject for Memory {
    fn connect(&self) -> BoxFuture<'_, StoreRoles> {
        Box::pin(memory(json!({}), self.0))
    }

    fn another<'a>(&'a self, first: &'a StoreRoles) -> BoxFuture<'a, StoreRoles> {
        Box::pin(std::future::ready(first.clone()))
    }

    fn restart(&self, _: StoreRoles) -> BoxFuture<'_, Option<StoreRoles>> {
        Box::pin(std::future::ready(None))
    }
}

/// Embedded stores, each in a folder of its own.
struct Embedded {
    time: Time,
    folders: Mutex<Vec<(Arc<dyn Connection>, TempDir)>>,
}

impl Embedded {
    fn new(time: Time) -> Self {
        Embedded { time, folders: Mutex::default() }
    }

    async fn open(&self, folder: TempDir) -> StoreRoles {
        let roles = embedded(folder.path(), json!({}), self.time).await.expect("it opens");
        self.folders.lock().expect("fine").push((roles.connection.clone(), folder));
        roles
    }
}

impl StoreSubject for Embedded {
    fn connect(&self) -> BoxFuture<'_, StoreRoles> {
        Box::pin(async { self.open(tempfile::tempdir().expect("a folder")).await })
    }

    fn another<'a>(&'a self, first: &'a StoreRoles) -> BoxFuture<'a, StoreRoles> {
        Box::pin(std::future::ready(first.clone()))
    }

    /// What a crash would leave is opened while the other still runs.
    fn restart(&self, roles: StoreRoles) -> BoxFuture<'_, Option<StoreRoles>> {
        let copy = {
            let folders = self.folders.lock().expect("fine");
            let (_, folder) = folders.iter().find(|(open, _)| Arc::ptr_eq(open, &roles.connection)).expect("it was opened here");
            let copy = tempfile::tempdir().expect("a folder");
            for file in ["longshore-store.db", "longshore-store.db-wal"] {
                std::fs::copy(folder.path().join(file), copy.path().join(file)).expect("copied");
            }
            copy
        };
        Box::pin(async move { Some(self.open(copy).await) })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_what_a_store_does() {
    stores::assert_passed(&stores::run(&Memory(Time::Right)).await, &OUTLIVES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_does_what_a_store_does() {
    stores::assert_passed(&stores::run(&Embedded::new(Time::Right)).await, &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_in_memory_has_one_holder_at_a_time_whatever_its_clients_do() {
    stores::storm_of_locks(&Memory(Time::Jumps)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedded_lock_has_one_holder_at_a_time_whatever_its_clients_do() {
    stores::storm_of_locks(&Embedded::new(Time::Jumps)).await;
}

async fn value(bucket: &dyn Bucket, key: &str) -> Option<Vec<u8>> {
    bucket.get(&[key.to_owned()]).await.expect("it reads").remove(0)
}

/// A full cache drops values and goes on; a key-value bucket of the same store keeps all of them.
async fn a_full_cache_drops_and_nothing_else_does(roles: &StoreRoles) {
    let cache = roles.cache.as_ref().expect("it has caches").bucket("c");
    let kept = roles.key_value.as_ref().expect("it keeps values").bucket("c");
    let payload = vec![b'x'; 10_000];
    for n in 0..50 {
        for bucket in [&cache, &kept] {
            bucket.set(&[(format!("k{n}"), payload.clone())], None).await.expect("it is set");
        }
    }
    let (mut cached, mut kept_all) = (0, 0);
    for n in 0..50 {
        cached += usize::from(value(&*cache, &format!("k{n}")).await.is_some());
        kept_all += usize::from(value(&*kept, &format!("k{n}")).await.is_some());
    }
    assert!((4..=10).contains(&cached), "{cached} of 10 KB fit into 100 KB");
    assert_eq!(kept_all, 50);
    let dropped = |buckets: &Option<Arc<dyn Buckets>>| buckets.as_ref().map(|buckets| buckets.dropped());
    assert_eq!((dropped(&roles.cache), dropped(&roles.key_value)), (Some(50 - cached as u64), Some(0)));

    // What is larger than all of a cache is not kept, and nothing goes for it but the value that it replaces.
    cache.set(&[("k49".to_owned(), vec![b'x'; 200_000])], None).await.expect("it is no error");
    let mut now = 0;
    for n in 0..50 {
        now += usize::from(value(&*cache, &format!("k{n}")).await.is_some());
    }
    assert_eq!((now, value(&*cache, "k49").await), (cached - 1, None));
    cache.set(&[("k49".to_owned(), payload)], None).await.expect("it is set");
}

#[tokio::test]
async fn a_full_cache_in_memory_drops_values_and_a_key_value_bucket_never() {
    a_full_cache_drops_and_nothing_else_does(&memory(json!({ "max-size": "100KB" }), Time::Right).await).await;
}

#[tokio::test]
async fn a_full_embedded_cache_drops_its_oldest_values_and_a_key_value_bucket_never() {
    let folder = tempfile::tempdir().expect("a folder");
    let roles = embedded(folder.path(), json!({ "max-size": "100KB" }), Time::Right).await.expect("it opens");
    a_full_cache_drops_and_nothing_else_does(&roles).await;
    let cache = roles.cache.as_ref().expect("it has caches").bucket("c");
    assert_eq!((value(&*cache, "k0").await, value(&*cache, "k49").await.is_some()), (None, true), "the oldest goes first");
}

#[tokio::test]
async fn a_file_belongs_to_one_and_to_a_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = support::open(folder.path(), json!({})).await.expect("it opens");
    broker.connection.close().await.expect("it closes");
    let error = embedded(folder.path(), json!({ "path": "longshore.db" }), Time::Right).await.err().expect("it is the broker's");
    assert!(error.what.contains("it is the database of a broker; a store needs another path"), "{error}");

    let first = embedded(folder.path(), json!({}), Time::Right).await.expect("it opens");
    let second = embedded(folder.path(), json!({}), Time::Right).await.err().expect("one at a time");
    assert!(second.what.contains("longshore-store.db is in use by this process already"), "{second}");
    first.connection.close().await.expect("it closes");
    let error = support::open(folder.path(), json!({ "path": "longshore-store.db" })).await.err().expect("it is the store's");
    assert!(error.what.contains("it is the database of a store"), "{error}");
}
