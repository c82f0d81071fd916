//! The store on Redis: the suite for stores, and what the server says when it cannot.

use std::time::Duration;

use longshore_brokers::redis::RedisStore;
use longshore_core::{BoxFuture, BrokerError, Connect, Fix, Owner, StoreAdapter, StoreError, StoreRoles, Wish};
use longshore_testkit::servers::{Redis, RedisOptions};
use longshore_testkit::stores::{self, Kind, StoreSubject, jumping_clock};
use serde_json::{Value, json};

use crate::support::connect_with;

async fn try_store(config: Value) -> Result<StoreRoles, BrokerError> {
    RedisStore::connect(serde_json::from_value(config).expect("a good configuration"), connect_with(Vec::new())).await
}

async fn store(port: u16) -> StoreRoles {
    try_store(json!({ "host": "127.0.0.1", "port": port })).await.expect("a server that is there")
}

/// What the page for users says that a user needs.
const RIGHTS: &str = "~longshore:* +@connection +@string +@keyspace +@scripting +time -@dangerous";

/// A server of its own, as it is killed.
struct OnRedis(Redis);

impl StoreSubject for OnRedis {
    fn connect(&self) -> BoxFuture<'_, StoreRoles> {
        Box::pin(store(self.0.port()))
    }

    fn another<'a>(&'a self, _: &'a StoreRoles) -> BoxFuture<'a, StoreRoles> {
        Box::pin(store(self.0.port()))
    }

    fn restart(&self, roles: StoreRoles) -> BoxFuture<'_, Option<StoreRoles>> {
        Box::pin(async move {
            drop(roles);
            tokio::task::block_in_place(|| self.0.server.restart());
            Some(store(self.0.port()).await)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_does_what_a_store_does() {
    let Some(redis) = Redis::start(&RedisOptions::default().durable()) else { return };
    stores::assert_passed(&stores::run(&OnRedis(redis)).await, &[]);
}

/// The same with hosts whose clocks jump by hours, to and fro: times are the server's.
struct Jumping(OnRedis);

impl StoreSubject for Jumping {
    fn connect(&self) -> BoxFuture<'_, StoreRoles> {
        Box::pin(async {
            let config = serde_json::from_value(json!({ "host": "127.0.0.1", "port": self.0.0.port() })).expect("a good configuration");
            let connect = Connect { clock: jumping_clock(), ..connect_with(Vec::new()) };
            RedisStore::connect(config, connect).await.expect("a server that is there")
        })
    }

    fn another<'a>(&'a self, _: &'a StoreRoles) -> BoxFuture<'a, StoreRoles> {
        self.connect()
    }

    fn restart(&self, roles: StoreRoles) -> BoxFuture<'_, Option<StoreRoles>> {
        self.0.restart(roles)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_on_redis_has_one_holder_at_a_time_whatever_its_clients_do() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    stores::storm_of_locks(&Jumping(OnRedis(redis))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fences_on_redis_grow_though_the_server_forgot_all_of_them() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let take = async || {
        let wish = Wish { name: "l".into(), ttl: Duration::from_secs(60), wait: Duration::ZERO, holder: Owner::default() };
        let locks = store(redis.port()).await.locks.expect("it has locks");
        locks.acquire(wish).await.expect("it answers").expect("it is free").fence()
    };
    let mut last = take().await;
    for _ in 0..3 {
        // As a failover to a server that never heard of any.
        redis.ask(&["FLUSHALL"]).expect("it is done");
        let next = take().await;
        assert!(next > last, "{next} after {last}");
        last = next;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_and_releasing_a_lock_on_redis_are_one_request_each() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let locks = store(redis.port()).await.locks.expect("it has locks");
    let take_and_release = async || {
        let wish = Wish { name: "l".into(), ttl: Duration::from_secs(60), wait: Duration::from_secs(1), holder: Owner::default() };
        let lease = locks.acquire(wish).await.expect("it answers").expect("it is free");
        assert_eq!(lease.release().await, Ok(true));
    };
    // The first sends the scripts besides.
    take_and_release().await;
    redis.ask(&["CONFIG", "RESETSTAT"]).expect("it is done");
    for _ in 0..7 {
        take_and_release().await;
    }
    let told = redis.ask(&["INFO", "commandstats"]).expect("it tells").join("\n");
    assert!(told.contains("cmdstat_evalsha:calls=14,"), "{told}");
    assert!(!told.contains("cmdstat_script"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_no_lock_is_told_by_name() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let locks = store(redis.port()).await.locks.expect("it has locks");
    redis.ask(&["SET", "longshore:lock:text", "x"]).expect("it is done");
    redis.ask(&["RPUSH", "longshore:lock:list", "x"]).expect("it is done");
    for name in ["text", "list"] {
        let wish = Wish { name: name.into(), ttl: Duration::from_secs(1), wait: Duration::ZERO, holder: Owner::default() };
        let refused = locks.acquire(wish).await;
        assert!(matches!(&refused, Err(StoreError::Other(why)) if why.contains(&format!("longshore:lock:{name}"))), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_type_is_told_by_name() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let roles = store(redis.port()).await;
    let bucket = Kind::KeyValue.bucket(&roles, "carts");
    redis.ask(&["RPUSH", "longshore:kv:{carts}:list", "a"]).expect("it is done");
    let (list, keys) = ("list", ["good", "list"].map(str::to_owned));
    let refused = [
        bucket.get(&keys[1..]).await.err(),
        bucket.get(&keys).await.err(),
        bucket.swap(list, Some(b"a"), b"b", None).await.err(),
        bucket.increment(list, 1, None).await.err(),
    ];
    for error in refused {
        let told =
            matches!(&error, Some(StoreError::Other(why)) if why.contains("longshore:kv:{carts}:list") && why.contains("another type"));
        assert!(told, "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_is_told_and_takes_values_once_there_is_room() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let roles = store(redis.port()).await;
    let bucket = Kind::KeyValue.bucket(&roles, "carts");
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).expect("it is done");
    let entry = [("k".to_owned(), b"x".to_vec())];
    let refused = [bucket.set(&entry, None).await.err(), bucket.increment("n", 1, None).await.err(), {
        bucket.swap("s", None, b"x", None).await.err()
    }];
    for error in refused {
        assert!(matches!(&error, Some(StoreError::Unavailable(why)) if why.contains("memory is full")), "{error:?}");
    }
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).expect("it is done");
    assert_eq!(bucket.set(&entry, None).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_is_unavailable_and_all_goes_on_when_it_is_back() {
    let Some(redis) = Redis::start(&RedisOptions::default().durable()) else { return };
    let roles = store(redis.port()).await;
    let bucket = Kind::Cache.bucket(&roles, "sessions");
    assert_eq!(bucket.increment("n", 1, None).await, Ok(1));
    tokio::task::block_in_place(|| redis.server.kill());
    let gone = bucket.increment("n", 1, None).await;
    assert!(matches!(&gone, Err(StoreError::Unavailable(why)) if why.contains("Redis at")), "{gone:?}");
    assert!(roles.connection.ping().await.is_err());
    tokio::task::block_in_place(|| redis.server.restart());
    assert_eq!(bucket.increment("n", 1, None).await, Ok(2), "the same bucket, and nothing was counted twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_keys_of_brokers_are_refused() {
    let Some(redis) = Redis::start(&RedisOptions::default().user("shop", "right", RIGHTS)) else { return };
    let config = |password: &str| json!({ "url": redis.url(), "username": "shop", "password": password });
    let error = try_store(config("wrong")).await.err().expect("it is refused");
    assert!(error.fix == Fix::GiveUp && error.what.contains("check username and password"), "{error:?}");
    let roles = try_store(config("right")).await.expect("it connects");
    let bucket = Kind::Cache.bucket(&roles, "b");
    assert_eq!(bucket.get(&["k".to_owned()]).await, Ok(vec![None]));
    assert_eq!(bucket.increment("n", 1, Some(Duration::from_secs(60))).await, Ok(1));
    assert_eq!(bucket.swap("n", Some(b"1"), b"2", None).await, Ok(true));
    assert_eq!(bucket.left("n").await, Ok(longshore_core::Left::Forever));
    assert_eq!(bucket.delete_matching(&longshore_core::KeyPattern::new("*")).await, Ok(1));

    let locks = roles.locks.expect("it has locks");
    let wish = Wish { name: "l".into(), ttl: Duration::from_secs(60), wait: Duration::ZERO, holder: Owner::default() };
    let lease = locks.acquire(wish.clone()).await.expect("it answers").expect("it is free");
    // Waits, and says so: for another host.
    let other = try_store(config("right")).await.expect("it connects").locks.expect("it has locks");
    let waited = other.acquire(Wish { wait: Duration::from_millis(10), ..wish }).await;
    assert!(waited.expect("it answers").is_none());
    assert_eq!(locks.list(&longshore_core::KeyPattern::new("*"), None).await.expect("a page").held.len(), 1);
    assert_eq!((lease.renew(Duration::from_secs(60)).await, lease.release().await), (Ok(true), Ok(true)));

    let lease = serde_json::from_value::<longshore_brokers::redis::StoreConfig>(json!({ "lease": "3s" }));
    assert!(lease.err().expect("it is a broker's").to_string().contains("`lease`"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_with_prefixes_of_their_own_are_apart() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let with = async |prefix: &str| {
        let config = json!({ "url": redis.url(), "prefix": prefix });
        Kind::KeyValue.bucket(&try_store(config).await.expect("it connects"), "carts")
    };
    let (shop, other) = (with("shop").await, with("other").await);
    shop.set(&[("k".to_owned(), b"x".to_vec())], None).await.expect("it is set");
    assert_eq!(other.get(&["k".to_owned()]).await, Ok(vec![None]));
    assert_eq!(other.delete_matching(&longshore_core::KeyPattern::new("*")).await, Ok(0));
    assert_eq!(with("shop").await.get(&["k".to_owned()]).await, Ok(vec![Some(b"x".to_vec())]));
}
