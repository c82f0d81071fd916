//! The store on NATS: the suite for stores, what only NATS does, and what the server says when it cannot.

use std::path::Path;
use std::time::Duration;

use longshore_brokers::nats::{NatsStore, StoreConfig};
use longshore_core::{BoxFuture, BrokerError, Clock, Connect, Fix, KeyPattern, Left, StoreAdapter, StoreError, StoreRoles};
use longshore_testkit::servers::{Nats, NatsOptions};
use longshore_testkit::stores::{self, Kind, StoreSubject, jumping_clock};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long any of these may wait for something.
const LONG: Duration = Duration::from_secs(20);

async fn try_store(config: Value) -> Result<StoreRoles, BrokerError> {
    let folder = Path::new(".").into();
    let connect = Connect { name: "default".into(), folder, clock: Clock::system(), admin: None, topics: Vec::new() };
    NatsStore::connect(serde_json::from_value(config).expect("a good configuration"), connect).await
}

async fn store(nats: &Nats) -> StoreRoles {
    try_store(json!({ "url": nats.url() })).await.expect("a server that is there")
}

/// What JetStream's API answers.
fn api(nats: &Nats, subject: &str, body: &Value) -> Value {
    let answer = nats.ask(&format!("$JS.API.{subject}"), &body.to_string()).expect("it answers");
    serde_json::from_str(&answer).expect("JSON")
}

/// The stream of a bucket.
fn stream(nats: &Nats, bucket: &str) -> Value {
    api(nats, &format!("STREAM.INFO.KV_longshore_{bucket}"), &json!({}))
}

/// Waits until no message is left in the stream of a bucket.
async fn until_empty(nats: &Nats, bucket: &str) {
    let began = Instant::now();
    while stream(nats, bucket)["state"]["messages"] != 0 {
        assert!(began.elapsed() < LONG, "{}", stream(nats, bucket)["state"]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A server of its own, as it is killed.
struct OnNats(Nats);

impl StoreSubject for OnNats {
    fn connect(&self) -> BoxFuture<'_, StoreRoles> {
        Box::pin(store(&self.0))
    }

    fn another<'a>(&'a self, _: &'a StoreRoles) -> BoxFuture<'a, StoreRoles> {
        Box::pin(store(&self.0))
    }

    fn restart(&self, roles: StoreRoles) -> BoxFuture<'_, Option<StoreRoles>> {
        Box::pin(async move {
            drop(roles);
            tokio::task::block_in_place(|| self.0.server.restart());
            Some(store(&self.0).await)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_does_what_a_store_does() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    stores::assert_passed(&stores::run(&OnNats(nats)).await, &[]);
}

/// The same with hosts whose clocks jump by hours, to and fro: times are the server's.
struct Jumping(OnNats);

impl StoreSubject for Jumping {
    fn connect(&self) -> BoxFuture<'_, StoreRoles> {
        Box::pin(async {
            let config = serde_json::from_value(json!({ "url": self.0.0.url() })).expect("a good configuration");
            let (name, folder, clock) = ("default".into(), Path::new(".").into(), jumping_clock());
            let connect = Connect { name, folder, clock, admin: None, topics: Vec::new() };
            NatsStore::connect(config, connect).await.expect("a server that is there")
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
async fn a_lock_on_nats_has_one_holder_at_a_time_whatever_its_clients_do() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    stores::storm_of_locks(&Jumping(OnNats(nats))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_hosts_count_at_once_on_nats_adds_up() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let mut hosts = JoinSet::new();
    for _ in 0..4 {
        let bucket = Kind::Cache.bucket(&store(&nats).await, "rates");
        hosts.spawn(async move {
            let mut counts = JoinSet::new();
            for _ in 0..8 {
                let bucket = bucket.clone();
                counts.spawn(async move {
                    let mut seen = Vec::new();
                    for _ in 0..10 {
                        seen.push(bucket.increment("n", 1, Some(LONG)).await.expect("it counts"));
                    }
                    seen
                });
            }
            counts.join_all().await.concat()
        });
    }
    let mut seen = hosts.join_all().await.concat();
    seen.sort_unstable();
    assert_eq!(seen, (1..=320).collect::<Vec<_>>(), "nobody saw a number that somebody else did");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_on_nats_is_exact_though_the_server_counts_whole_seconds() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let bucket = Kind::Cache.bucket(&store(&nats).await, "short");
    let key = ["k".to_owned()];
    let ttl = Duration::from_millis(120);
    let begun = Instant::now();
    bucket.set(&[("k".to_owned(), b"x".to_vec())], Some(ttl)).await.expect("it is set");
    while bucket.get(&key).await.expect("it reads")[0].is_some() {
        assert!(begun.elapsed() < LONG);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let gone = begun.elapsed();
    assert!(gone >= ttl, "it went after {gone:?}");
    let kept = stream(&nats, "cache_short");
    assert!(gone > Duration::from_secs(1) || kept["state"]["messages"] == 1, "the server itself still has it: {gone:?}");
    assert_eq!(bucket.increment("k", 5, Some(ttl)).await, Ok(5), "what is over counts for nothing");
    assert!(matches!(bucket.left("k").await, Ok(Left::Span(left)) if left <= ttl) || begun.elapsed() > gone + ttl);
    until_empty(&nats, "cache_short").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_deleted_on_nats_leaves_nothing() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let bucket = Kind::KeyValue.bucket(&store(&nats).await, "carts");
    let entries: Vec<_> = (0..100).map(|n| (format!("k{n}"), b"x".to_vec())).collect();
    bucket.set(&entries, None).await.expect("they are set");
    assert_eq!(bucket.delete_matching(&KeyPattern::new("*")).await, Ok(100));
    until_empty(&nats, "kv_carts").await;
    assert_eq!(bucket.swap("k0", None, b"again", None).await, Ok(true));
    assert_eq!(stream(&nats, "kv_carts")["state"]["consumer_count"], 0, "what looked for keys is gone");
}

/// What ADR-8 says of a bucket, and what other programs write there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_programs_read_and_write_the_same_keys_on_nats() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let bucket = Kind::KeyValue.bucket(&store(&nats).await, "carts");
    bucket.set(&[("user.1".to_owned(), b"x".to_vec()), ("a b".to_owned(), b"y".to_vec())], None).await.expect("they are set");
    let config = &stream(&nats, "kv_carts")["config"];
    assert_eq!(config["subjects"], json!(["$KV.longshore_kv_carts.>"]));
    assert!(config["allow_rollup_hdrs"] == true && config["deny_delete"] == true && config["max_msgs_per_subject"] == 1, "{config}");
    let last = |key: &str| {
        let subject = format!("$KV.longshore_kv_carts.{key}");
        api(&nats, "STREAM.MSG.GET.KV_longshore_kv_carts", &json!({ "last_by_subj": subject }))["message"]["data"].clone()
    };
    assert_eq!((last("user.1"), last("a=20b")), (json!("eA=="), json!("eQ==")));
    nats.ask("$KV.longshore_kv_carts.theirs", "z").expect("it is kept");
    nats.ask("$KV.longshore_kv_carts.no=key", "z").expect("it is kept");
    assert_eq!(bucket.get(&["theirs".to_owned()]).await, Ok(vec![Some(b"z".to_vec())]));
    let mut keys = bucket.keys(&KeyPattern::new("*"), None).await.expect("a page").keys;
    keys.sort();
    assert_eq!(keys, ["a b", "theirs", "user.1"], "a name that is no key's is not told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_that_is_gone_is_unavailable_and_all_goes_on_when_it_is_back() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let roles = store(&nats).await;
    let bucket = Kind::Cache.bucket(&roles, "sessions");
    assert_eq!(bucket.increment("n", 1, None).await, Ok(1));
    tokio::task::block_in_place(|| nats.server.kill());
    let began = Instant::now();
    for _ in 0..2 {
        let gone = bucket.increment("n", 1, None).await;
        assert!(matches!(&gone, Err(StoreError::Unavailable(why)) if why.contains("NATS")), "{gone:?}");
    }
    let gone = bucket.keys(&KeyPattern::new("*"), None).await;
    assert!(matches!(gone, Err(StoreError::Unavailable(_))), "{gone:?}");
    assert!(began.elapsed() < Duration::from_secs(4), "nobody waits for it: {:?}", began.elapsed());
    assert!(roles.connection.ping().await.is_err());
    tokio::task::block_in_place(|| nats.server.restart());
    loop {
        match bucket.increment("n", 1, None).await {
            Err(StoreError::Unavailable(_)) if began.elapsed() < LONG => tokio::time::sleep(Duration::from_millis(20)).await,
            counted => break assert_eq!(counted, Ok(2), "the same bucket, and nothing was counted twice"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_somebody_removes_on_nats_is_made_again() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let bucket = Kind::KeyValue.bucket(&store(&nats).await, "carts");
    let key = ["k".to_owned()];
    for change in 0..4 {
        bucket.set(&[("k".to_owned(), b"x".to_vec())], None).await.expect("it is set");
        assert_eq!(api(&nats, "STREAM.DELETE.KV_longshore_kv_carts", &json!({}))["success"], true);
        match change {
            0 => assert_eq!(bucket.get(&key).await, Ok(vec![None])),
            1 => assert_eq!(bucket.set(&[("k".to_owned(), b"y".to_vec())], None).await, Ok(())),
            2 => assert_eq!(bucket.increment("n", 1, None).await, Ok(1)),
            _ => assert!(bucket.keys(&KeyPattern::new("*"), None).await.expect("a page").keys.is_empty()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_for_nats_is_told_with_the_limit() {
    let Some(nats) = Nats::start(&NatsOptions::default().line("max_payload: 10000")) else { return };
    let bucket = Kind::KeyValue.bucket(&store(&nats).await, "carts");
    let large = vec![b'x'; 10_001];
    let entry = [("k".to_owned(), large.clone())];
    for refused in [bucket.set(&entry, None).await.err(), bucket.swap("k", None, &large, None).await.err()] {
        assert!(matches!(&refused, Some(StoreError::TooLarge(why)) if why.contains("10000 bytes")), "{refused:?}");
    }
    let long = ["ü".repeat(1000)];
    let refused = bucket.get(&long).await;
    assert!(matches!(&refused, Err(StoreError::TooLarge(why)) if why.contains("3400")), "{refused:?}");
    let longest = "x".repeat(3400);
    bucket.set(&[(longest.clone(), b"x".to_vec())], None).await.expect("that fits");
    assert_eq!(bucket.get(&[longest]).await, Ok(vec![Some(b"x".to_vec())]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_bucket_on_nats_is_told_and_takes_values_once_there_is_room() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let bucket = Kind::KeyValue.bucket(&store(&nats).await, "carts");
    bucket.set(&[("k".to_owned(), vec![0; 1000])], None).await.expect("it is set");
    let mut config = stream(&nats, "kv_carts")["config"].clone();
    let bound = |config: &mut Value, bytes: i64| {
        config["max_bytes"] = json!(bytes);
        let changed = api(&nats, "STREAM.UPDATE.KV_longshore_kv_carts", config);
        assert!(changed["error"].is_null(), "{changed}");
    };
    bound(&mut config, 1500);
    let other = [("other".to_owned(), vec![0; 1000])];
    let refused = bucket.set(&other, None).await;
    assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("max_bytes")), "{refused:?}");
    bound(&mut config, -1);
    assert_eq!(bucket.set(&other, None).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_use_a_bucket_on_nats_is_told_what_is_missing() {
    let all = r#"publish: ["$JS.API.>", "$KV.longshore_cache_b.>"], subscribe: "_INBOX.>""#;
    let none = r#"publish: ["$JS.API.INFO", "$JS.API.STREAM.INFO.*"], subscribe: "_INBOX.>""#;
    let options = NatsOptions::default().user("shop", "right", all).user("guest", "right", none);
    let Some(nats) = Nats::start(&options) else { return };
    let config = |user: &str, password: &str| json!({ "url": nats.url(), "user": user, "password": password });
    let error = try_store(config("shop", "hunter2")).await.err().expect("it is refused");
    assert!(error.fix == Fix::GiveUp && error.what.contains("check user, password"), "{error:?}");
    assert!(!error.what.contains("hunter2"), "{error:?}");

    let roles = try_store(config("shop", "right")).await.expect("it connects");
    let entry = [("k".to_owned(), b"x".to_vec())];
    assert_eq!(Kind::Cache.bucket(&roles, "b").set(&entry, None).await, Ok(()));
    let refused = Kind::Cache.bucket(&roles, "c").set(&entry, None).await;
    assert!(matches!(&refused, Err(StoreError::Other(why)) if why.contains("$KV.longshore_cache_c.k")), "{refused:?}");

    let guest = Kind::Cache.bucket(&try_store(config("guest", "right")).await.expect("it connects"), "b");
    let began = Instant::now();
    let refused = [guest.get(&["k".to_owned()]).await.err(), guest.set(&entry, None).await.err(), {
        guest.keys(&KeyPattern::new("*"), None).await.err()
    }];
    for error in refused {
        assert!(matches!(&error, Some(StoreError::Other(why)) if why.contains("has no right to publish to")), "{error:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(4), "nobody waits for an answer that does not come: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_without_jetstream_has_no_store() {
    let line = "accounts { A: { users: [{ user: me, password: secret }] } }";
    let Some(nats) = Nats::start(&NatsOptions::default().line(line)) else { return };
    let error = try_store(json!({ "url": nats.url(), "user": "me", "password": "secret" })).await.err().expect("it is refused");
    assert!(error.fix == Fix::GiveUp && error.what.contains("JetStream is off"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_missing_or_unfit_on_nats_is_told() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let entry = [("k".to_owned(), b"x".to_vec())];
    for declare in ["passive", "none"] {
        let roles = try_store(json!({ "url": nats.url(), "declare": declare })).await.expect("it connects");
        let refused = Kind::Cache.bucket(&roles, "b").set(&entry, None).await;
        assert!(matches!(&refused, Err(StoreError::Other(why)) if why.contains("there is no bucket \"longshore_cache_b\"")), "{refused:?}");
    }
    let made = api(
        &nats,
        "STREAM.CREATE.KV_longshore_cache_b",
        &json!({ "name": "KV_longshore_cache_b", "subjects": ["$KV.longshore_cache_b.>"], "max_msgs_per_subject": 5 }),
    );
    assert!(made["error"].is_null(), "{made}");
    let refused = Kind::Cache.bucket(&store(&nats).await, "b").set(&entry, None).await;
    assert!(matches!(&refused, Err(StoreError::Other(why)) if why.contains("history of 1")), "{refused:?}");
}

/// As with several replicas, what may be behind is not asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_on_nats_that_is_not_read_directly_is_read_from_its_leader() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let config = json!({
        "name": "KV_longshore_cache_b", "subjects": ["$KV.longshore_cache_b.>"], "max_msgs_per_subject": 1,
        "allow_msg_ttl": true, "allow_rollup_hdrs": true, "allow_direct": false,
    });
    let made = api(&nats, "STREAM.CREATE.KV_longshore_cache_b", &config);
    assert!(made["error"].is_null(), "{made}");
    let roles = try_store(json!({ "url": nats.url(), "declare": "none" })).await.expect("it connects");
    let (bucket, keys) = (Kind::Cache.bucket(&roles, "b"), ["k", "n"].map(str::to_owned));
    assert_eq!(bucket.get(&keys).await, Ok(vec![None, None]));
    bucket.set(&[("k".to_owned(), b"x".to_vec())], Some(LONG)).await.expect("it is set");
    assert_eq!(bucket.increment("n", 2, None).await, Ok(2));
    assert_eq!(bucket.get(&keys).await, Ok(vec![Some(b"x".to_vec()), Some(b"2".to_vec())]));
    assert!(matches!(bucket.left("k").await, Ok(Left::Span(left)) if left <= LONG));
    assert_eq!(bucket.delete(&keys).await, Ok(2));
    assert_eq!(bucket.get(&keys).await, Ok(vec![None, None]));
    assert_eq!(api(&nats, "STREAM.DELETE.KV_longshore_cache_b", &json!({}))["success"], true);
    let gone = bucket.get(&keys).await;
    assert!(matches!(&gone, Err(StoreError::Other(why)) if why.contains("there is no bucket")), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_on_nats_with_prefixes_of_their_own_are_apart() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let with = async |prefix: &str| {
        let roles = try_store(json!({ "url": nats.url(), "prefix": prefix })).await.expect("it connects");
        Kind::KeyValue.bucket(&roles, "carts")
    };
    with("shop").await.set(&[("k".to_owned(), b"x".to_vec())], None).await.expect("it is set");
    assert_eq!(with("other").await.get(&["k".to_owned()]).await, Ok(vec![None]));
    assert_eq!(with("shop").await.get(&["k".to_owned()]).await, Ok(vec![Some(b"x".to_vec())]));
    assert!(serde_json::from_value::<StoreConfig>(json!({ "lease": "3s" })).is_err(), "it is a broker's");
}
