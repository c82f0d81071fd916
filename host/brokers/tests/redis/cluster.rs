//! Redis Cluster: topics on all nodes, a master that is lost and one that gives a slot away, with messages under way.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore_brokers::redis::lists::Lists;
use longshore_brokers::redis::pubsub::PubSub;
use longshore_brokers::redis::streams::Streams;
use longshore_core::{Adapter, Batch, BoxFuture, Capabilities, Fix, Flag, Roles, Room, Subscribe};
use longshore_testkit::conformance::{self, Hand, Subject, Verdict};
use longshore_testkit::servers::tls::Authority;
use longshore_testkit::servers::{Redis, RedisCluster, RedisOptions, unique};
use serde_json::{Value, json};

use crate::conformance::{NOT_OF_LISTS, NOT_OF_STREAMS};
use crate::support::try_connect;
use crate::work::{SOON, ends, hand, publish, subscribe, until, wish};

fn lent_for(cluster: &RedisCluster, lease: &str) -> Value {
    let seeds = cluster.nodes().iter().map(|node| format!("127.0.0.1:{}", node.port()));
    json!({ "cluster": seeds.collect::<Vec<_>>(), "lease": lease })
}

async fn connect<A: Adapter>(cluster: &RedisCluster) -> Roles {
    let mut config = lent_for(cluster, "3s");
    if A::FORGETS.is_some() {
        config.as_object_mut().expect("a table").remove("lease");
    }
    try_connect::<A>(config, Vec::new()).await.expect("a cluster that is there")
}

/// An adapter on a cluster of its own.
struct OnCluster<A>(RedisCluster, PhantomData<fn() -> A>);

impl<A: Adapter> Subject for OnCluster<A> {
    fn capabilities(&self) -> Capabilities {
        A::able(&serde_json::from_value(json!({ "cluster": ["127.0.0.1:1"] })).expect("a good configuration"))
    }

    fn connect(&self) -> BoxFuture<'_, Roles> {
        Box::pin(connect::<A>(&self.0))
    }

    fn is_queue(&self) -> bool {
        A::IS_QUEUE
    }

    fn forgets(&self) -> bool {
        A::FORGETS.is_some()
    }

    fn restart(&self, roles: Roles) -> BoxFuture<'_, Option<Roles>> {
        Box::pin(async move {
            if A::FORGETS.is_some() {
                return None;
            }
            drop(roles);
            tokio::task::block_in_place(|| {
                self.0.nodes().iter().for_each(|node| node.server.restart());
                self.0.await_ready();
            });
            Some(connect::<A>(&self.0).await)
        })
    }
}

/// What needs one script for two topics.
const NEEDS_ONE_SLOT: [&str; 5] = [
    "outputs_are_published_with_the_round",
    "a_round_with_an_output_that_cannot_be_is_refused_as_a_whole",
    "a_refused_round_settles_once_it_is_changed",
    "a_message_as_large_as_can_be_finds_room_among_the_dead_letters",
    "a_round_that_is_refused_remembers_nothing",
];

/// Does on a cluster what it does on a server, but for what needs one slot.
async fn does_the_same<A: Adapter>(not_on_a_server: &[&str]) {
    let Some(cluster) = RedisCluster::start(&RedisOptions::default().durable()) else { return };
    let matrix = conformance::run(&OnCluster::<A>(cluster, PhantomData)).await;
    println!("{matrix}");
    matrix.assert_passed();
    matrix.assert_kept_as(&format!("{}, cluster", A::NAME));
    let matrix = if A::CAPABILITIES.has(Flag::DedupInbox) { matrix } else { matrix.without(Flag::DedupInbox) };
    let mut unsupported = matrix.tests(&Verdict::Unsupported);
    unsupported.retain(|test| !NEEDS_ONE_SLOT.contains(test));
    assert_eq!(unsupported, not_on_a_server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_do_on_a_cluster_what_they_do_on_a_server() {
    does_the_same::<Streams>(&NOT_OF_STREAMS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_do_on_a_cluster_what_they_do_on_a_server() {
    does_the_same::<Lists>(&NOT_OF_LISTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_are_heard_on_a_cluster_whatever_node_is_asked() {
    let Some(cluster) = RedisCluster::start(&RedisOptions::default()) else { return };
    let matrix = conformance::run(&OnCluster::<PubSub>(cluster, PhantomData)).await;
    println!("{matrix}");
    matrix.assert_passed();
    matrix.assert_kept_as("redis-pubsub, cluster");
    assert!(matrix.tests(&Verdict::Passed).contains(&"a_pattern_means_topics_that_are_there_and_those_that_come"));
}

/// The slot of a key.
fn slot(cluster: &RedisCluster, key: &str) -> u16 {
    cluster.nodes()[1].ask(&["CLUSTER", "KEYSLOT", key]).expect("asked").concat().parse().expect("a number")
}

/// A topic that the first master has.
fn topic_of_the_first(cluster: &RedisCluster, name: &str) -> String {
    std::iter::repeat_with(|| unique(name)).find(|topic| slot(cluster, topic) < 5461).expect("one of three")
}

/// Waits until the replica has all that the first master has now.
async fn replicated(cluster: &RedisCluster) {
    let offset = |of: &Redis, name: &str| -> u64 {
        let info = of.ask(&["INFO", "replication"]).expect("asked").concat();
        let line = info.lines().find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')));
        line.expect("it is told").parse().expect("a number")
    };
    let there = offset(&cluster.nodes()[0], "master_repl_offset");
    until(async || offset(cluster.replica(), "slave_repl_offset") >= there).await;
}

/// Two lanes of which one is lost with its master, which is killed with messages settled, failed and open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_lost_loses_nothing_that_its_replica_has() {
    let Some(cluster) = RedisCluster::with_replica(&RedisOptions::default()) else { return };
    let roles = try_connect::<Streams>(lent_for(&cluster, "60s"), Vec::new()).await.expect("connected");
    let topic = topic_of_the_first(&cluster, "lost");
    publish(&roles, &topic, &["a", "b", "c"]).await.expect("published");
    let mut before = hand(&roles, wish(&topic, json!({}))).await;
    before.fetch(3).await;
    before.done(0).again(1, Duration::from_millis(10), 3, 77).settle().await;
    replicated(&cluster).await;
    tokio::task::block_in_place(|| cluster.nodes()[0].server.kill());
    ends(&mut before).await;
    drop(before);
    let mut after = found(&roles, &topic).await;
    after.fetch(2).await;
    let mut got: Vec<_> = (0..2).map(|i| (after.payloads()[i].clone(), after.got.get(i).attempt)).collect();
    got.sort();
    assert_eq!(got, [("b".into(), 3), ("c".into(), 1)], "what was settled is, what was not comes again");
    publish(&roles, &topic, &["d"]).await.expect("published");
    let next = after.fetch(1).await;
    assert_eq!(after.payloads_from(next), ["d"]);
    after.all_done(0).settle().await;
    roles.connection.ping().await.expect("the lost one is not waited for");
}

/// The lane of a topic, once it can be had.
async fn found(roles: &Roles, topic: &str) -> Hand {
    let mut lane = None;
    until(async || {
        lane = subscribe(roles, wish(topic, json!({}))).await.ok();
        lane.is_some()
    })
    .await;
    let (lane, lanes) = lane.expect("it was found");
    Hand::new(lane, Some(lanes))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lane_of_a_list_outlives_its_master() {
    let Some(cluster) = RedisCluster::with_replica(&RedisOptions::default()) else { return };
    let roles = try_connect::<Lists>(lent_for(&cluster, "60s"), Vec::new()).await.expect("connected");
    let topic = topic_of_the_first(&cluster, "lost");
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(2).await;
    hand.done(0).settle().await;
    replicated(&cluster).await;
    tokio::task::block_in_place(|| cluster.nodes()[0].server.kill());
    hand.done(1);
    until(async || hand.try_settle().await.is_ok()).await;
    until(async || publish(&roles, &topic, &["c"]).await.is_ok()).await;
    let mut tally = Tally::default();
    until(async || tally.step(&mut hand).await > 0).await;
    assert_eq!(hand.payloads(), ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_is_heard_again_after_the_node_that_told_it_is_lost() {
    let Some(cluster) = RedisCluster::with_replica(&RedisOptions::default()) else { return };
    let roles = connect::<PubSub>(&cluster).await;
    let subscribe = Subscribe { group: None, ..wish("channel", json!({})) };
    let mut hand = hand(&roles, subscribe).await;
    publish(&roles, "channel", &["a"]).await.expect("published");
    hand.fetch(1).await;
    // Whichever node is listened to is one of them: all but one come back.
    for node in cluster.nodes() {
        tokio::task::block_in_place(|| {
            node.server.kill();
            node.server.launch();
            node.server.await_ready();
        });
        until(async || {
            let _ = publish(&roles, "channel", &["again"]).await;
            let room = Room { messages: 100, bytes: 1 << 20 };
            let mut batch = Batch::default();
            let fetched = tokio::time::timeout(Duration::from_millis(100), hand.lane.source.fetch(room, &mut batch)).await;
            matches!(fetched, Ok(Ok(())) if !batch.is_empty())
        })
        .await;
    }
}

/// What a consumer that outlives trouble has finished, by payload.
#[derive(Default)]
struct Tally(BTreeMap<String, usize>);

impl Tally {
    /// Fetches and settles once: what is to fail once does. Answers how many are done. Only trouble that passes is borne.
    async fn step(&mut self, hand: &mut Hand) -> usize {
        let (mut batch, room) = (Batch::default(), Room { messages: 100, bytes: 1 << 20 });
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_millis(200), hand.lane.source.fetch(room, &mut batch)).await {
            assert_eq!(error.fix, Fix::Retry, "the lane stands: {error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let first = hand.take(&batch);
        let fails = |i: usize, hand: &Hand| hand.payloads()[i].starts_with("fails") && hand.got.get(i).attempt == 1;
        for i in first..hand.got.len() {
            if fails(i, hand) {
                hand.again(i, Duration::from_millis(20), 2, 1);
            } else {
                hand.done(i);
                *self.0.entry(hand.payloads()[i].clone()).or_default() += 1;
            }
        }
        if first < hand.got.len() {
            until(async || hand.try_settle().await.is_ok()).await;
        }
        self.0.len()
    }
}

/// Publishes messages one after another until each is taken.
async fn publish_each(roles: &Roles, topic: &str, payloads: impl Iterator<Item = String>) {
    for payload in payloads {
        until(async || publish(roles, topic, &[&payload]).await.is_ok()).await;
    }
}

/// The rights of the page.
const RIGHTS: &str =
    "~* +@connection +@stream +@list +@set +@sortedset +@hash +@string +@keyspace +@scripting +time -@dangerous +info +cluster|slots";

/// A slot that moves away while its topic is published to and read: each message is done, and once.
async fn each_is_done_once_while_a_slot_moves<A: Adapter>(reads_on: bool) {
    let Some(cluster) = RedisCluster::start(&RedisOptions::default().user("host", "secret", RIGHTS)) else { return };
    let mut config = lent_for(&cluster, "60s");
    (config["username"], config["password"]) = (json!("host"), json!("secret"));
    let roles = try_connect::<A>(config, Vec::new()).await.expect("connected");
    let topic = topic_of_the_first(&cluster, "moves");
    let (slot, done) = (slot(&cluster, &topic), AtomicUsize::new(0));
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    let so_many = async |count: usize| until(async || done.load(Ordering::Relaxed) >= count).await;
    let drive = async {
        let named = |kind: &'static str, range: std::ops::Range<usize>| range.map(move |n| format!("{kind}-{n}"));
        publish_each(&roles, &topic, named("fails", 0..20).chain(named("plain", 0..20))).await;
        so_many(40).await;
        cluster.begin_move(slot, 0, 2);
        if reads_on {
            publish_each(&roles, &topic, named("plain", 20..40)).await;
            so_many(60).await;
        }
        cluster.move_keys(slot, 0, 2);
        if reads_on {
            publish_each(&roles, &topic, named("plain", 40..60)).await;
            so_many(80).await;
        }
        let rest = if reads_on { 60..80 } else { 20..80 };
        let publish = publish_each(&roles, &topic, named("plain", rest).chain(named("fails", 20..40)));
        tokio::join!(publish, async { cluster.end_move(slot, 0, 2) });
    };
    let mut tally = Tally::default();
    let consume = async {
        while tally.0.len() < 120 {
            done.store(tally.step(&mut hand).await, Ordering::Relaxed);
        }
    };
    tokio::time::timeout(3 * SOON, async { tokio::join!(drive, consume) }).await.expect("all are done in time");
    assert!(tally.0.values().all(|times| *times == 1), "{:?}", tally.0);
    assert_eq!(cluster.nodes()[0].ask(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]).expect("asked"), ["0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_read_and_published_to_while_their_slot_moves() {
    each_is_done_once_while_a_slot_moves::<Streams>(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_wait_while_their_slot_moves() {
    each_is_done_once_while_a_slot_moves::<Lists>(false).await;
}

#[tokio::test]
async fn a_cluster_is_named_by_some_of_its_nodes_and_refused_with_a_sentence() {
    let Some(cluster) = RedisCluster::start(&RedisOptions::default().user("orders", "secret", "~* &* +@all")) else { return };
    let one = format!("127.0.0.1:{}", cluster.nodes()[2].port());
    let check = async |keys: Value, word: &str| {
        let mut config = json!({ "cluster": [one] });
        config.as_object_mut().expect("a table").extend(keys.as_object().expect("a table").clone());
        let error = try_connect::<Streams>(config, Vec::new()).await.err().expect("it is refused");
        assert!(error.fix == Fix::GiveUp && error.what.contains(word) && !error.what.contains("wrong"), "{error:?}");
    };
    check(json!({ "username": "orders", "password": "wrong" }), "password").await;
    check(json!({ "url": "redis://localhost" }), "take out url").await;
    check(json!({ "db": 1 }), "one database").await;
    check(json!({ "sentinels": ["a:1"], "sentinel-master": "main" }), "sentinels").await;
    check(json!({ "cluster": ["here"] }), "host:6379").await;
    let authority = Authority::new();
    check(json!({ "tls": { "ca": authority.certificate() } }), "tls.enabled").await;
    let alone = Redis::start(&RedisOptions::default()).expect("it is installed");
    check(json!({ "cluster": [format!("127.0.0.1:{}", alone.port())] }), "by url").await;
    let good = json!({ "cluster": ["127.0.0.1:1", one], "username": "orders", "password": "secret" });
    let roles = try_connect::<Streams>(good, Vec::new()).await.expect("one of the nodes is there");
    for _ in 0..6 {
        publish(&roles, &unique("anywhere"), &["a"]).await.expect("published wherever it is");
    }
    assert_eq!(roles.topics.as_ref().expect("topics").list().await.expect("listed").len(), 6, "of all nodes");
    let as_one = try_connect::<Streams>(json!({ "host": "127.0.0.1", "port": cluster.nodes()[0].port() }), Vec::new()).await;
    let findings = as_one.expect("it answers").connection.check_server().await.expect("checked");
    assert!(findings.iter().any(|finding| finding.is_mistake && finding.help.contains("cluster =")), "{findings:?}");
}

#[tokio::test]
async fn tls_is_spoken_to_every_node() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let Some(cluster) = RedisCluster::start(&RedisOptions::default().tls(&ours)) else { return };
    let with = |ca: &Authority| {
        let seed = format!("localhost:{}", cluster.nodes()[0].tls_port());
        json!({ "cluster": [seed], "tls": { "enabled": true, "ca": ca.certificate() } })
    };
    let error = try_connect::<Streams>(with(&theirs), Vec::new()).await.err().expect("it is not trusted");
    assert!(error.fix == Fix::GiveUp && error.what.contains("tls.ca"), "{error:?}");
    let roles = try_connect::<Streams>(with(&ours), Vec::new()).await.expect("it is trusted");
    for node in 0..3 {
        let topic = std::iter::repeat_with(|| unique("tls")).find(|topic| usize::from(slot(&cluster, topic)) / 5462 == node).expect("some");
        publish(&roles, &topic, &["a"]).await.expect("published");
        let mut hand = hand(&roles, wish(&topic, json!({}))).await;
        hand.fetch(1).await;
        hand.all_done(0).settle().await;
    }
}
