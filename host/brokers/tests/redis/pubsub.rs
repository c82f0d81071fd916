//! Pub/sub: what only it has. Who listens gets a message once; connections that break leave a gap that is told, and nothing else.

use std::time::Duration;

use longshore_brokers::redis::pubsub::PubSub;
use longshore_core::{Adapter, Batch, BoxFuture, Capabilities, Fix, PublishError, Roles, Room, Start, Subscribe, TopicSettings, headers};
use longshore_testkit::conformance::{self, Hand, Subject, Verdict};
use longshore_testkit::proxy::{Proxy, Traffic};
use longshore_testkit::servers::tls::Authority;
use longshore_testkit::servers::{Redis, RedisOptions, RedisSentinel};
use serde_json::{Value, json};

use crate::support::try_connect;
use crate::work::{SOON, publish, until};

async fn connect(port: u16) -> Roles {
    try_connect::<PubSub>(json!({ "host": "127.0.0.1", "port": port }), Vec::new()).await.expect("the server is there")
}

fn wish(topics: &[&str], keys: Value) -> Subscribe {
    let topics = topics.iter().map(|topic| longshore_core::Pattern::new(topic).expect("a pattern")).collect();
    Subscribe { topics, group: None, ..crate::work::wish("any", keys) }
}

async fn hand(roles: &Roles, wish: Subscribe) -> Hand {
    let (lane, lanes) = crate::work::subscribe(roles, wish).await.expect("subscribed");
    Hand::new(lane, Some(lanes))
}

/// Pub/sub under the conformance suite.
struct OnRedis(Redis);

impl Subject for OnRedis {
    fn capabilities(&self) -> Capabilities {
        PubSub::CAPABILITIES
    }

    fn connect(&self) -> BoxFuture<'_, Roles> {
        Box::pin(connect(self.0.port()))
    }

    fn forgets(&self) -> bool {
        PubSub::FORGETS.is_some()
    }

    fn restart(&self, _: Roles) -> BoxFuture<'_, Option<Roles>> {
        Box::pin(std::future::ready(None))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pubsub_does_what_it_declares() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let matrix = conformance::run(&OnRedis(redis)).await;
    println!("{matrix}");
    matrix.assert_passed();
    matrix.assert_kept_as("redis-pubsub");
    assert_eq!(
        matrix.tests(&Verdict::Passed),
        [
            "publishing_answers_the_id_that_readers_see",
            "each_message_of_a_batch_is_answered_for",
            "payload_key_and_headers_arrive_byte_for_byte",
            "a_message_without_timestamp_gets_one",
            "a_start_at_the_end_sees_only_what_comes_later",
            "a_fetch_keeps_to_its_room",
            "a_message_larger_than_the_room_comes_alone",
            "a_dropped_fetch_loses_nothing",
            "a_lane_brings_messages_in_the_order_of_publishing",
            "a_fetch_that_waits_is_woken_and_does_not_poll",
            "a_pattern_means_topics_that_are_there_and_those_that_come",
            "a_star_means_one_level",
            "every_subscriber_gets_a_copy_of_what_comes_while_it_is_there",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_several_patterns_mean_comes_once_with_the_first_that_does() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let roles = connect(redis.port()).await;
    let mut hand = hand(&roles, wish(&["a.b", "a.*", "*.b", "a.**"], json!({}))).await;
    for (topic, payload) in
        [("a.b", "exact"), ("a.c", "star"), ("c.b", "leading"), ("a.b.c", "deeper"), ("b.c", "nobody's"), ("a.b", "fence")]
    {
        publish(&roles, topic, &[payload]).await.expect("published");
    }
    hand.fetch(5).await;
    assert_eq!(hand.payloads(), ["exact", "star", "leading", "deeper", "fence"]);
    let by = |i: usize| hand.got.row(i).header(headers::PATTERN).map(|by| String::from_utf8_lossy(by).into_owned());
    assert_eq!([by(0), by(1), by(2), by(3)], [None, Some("a.*".into()), Some("*.b".into()), Some("a.**".into())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_publishes_is_payload_as_it_stands() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let roles = connect(redis.port()).await;
    let mut hand = hand(&roles, wish(&["t"], json!({}))).await;
    for payload in ["hello", "", "longshore/1 0 broken"] {
        assert_eq!(redis.ask(&["PUBLISH", "t", payload]), Ok(vec!["1".to_owned()]));
    }
    hand.fetch(3).await;
    assert_eq!(hand.payloads(), ["hello", "", "longshore/1 0 broken"]);
    assert!(!hand.got.facts(0).undecodable && hand.got.facts(2).undecodable, "what is ours and damaged is no message");
    assert!(!hand.got.get(0).id.is_empty() && hand.got.get(0).id != hand.got.get(1).id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_dropped_and_counted() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let roles = connect(redis.port()).await;
    let payloads: Vec<String> = (0..500).map(|i| i.to_string()).collect();
    let all: Vec<&str> = payloads.iter().map(String::as_str).collect();
    for (overflow, kept) in [("drop-oldest", &payloads[400..]), ("drop-newest", &payloads[..100])] {
        let topic = format!("t.{overflow}");
        let mut hand = hand(&roles, wish(&[&topic], json!({ "buffer": 100, "overflow": overflow }))).await;
        publish(&roles, &topic, &all).await.expect("published");
        let mut dropped = 0;
        until(async || {
            dropped += hand.lane.source.take_dropped();
            dropped >= 400
        })
        .await;
        hand.fetch(100).await;
        assert_eq!((hand.payloads(), dropped, hand.lane.source.take_dropped()), (kept.to_vec(), 400, 0), "{overflow}");
    }
}

/// Fetches until it is told that all is well again: trouble passes, and its end is a fetch that brings nothing.
async fn well_again(hand: &mut Hand) {
    let (mut batch, room) = (Batch::default(), Room { messages: 10, bytes: 1 << 20 });
    let well = async {
        let mut troubles = 0;
        loop {
            match hand.lane.source.fetch(room, &mut batch).await {
                Ok(()) => return troubles,
                Err(error) => {
                    assert_eq!(error.fix, Fix::Retry, "{error}");
                    troubles += 1;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    };
    let troubles = tokio::time::timeout(SOON, well).await.expect("it is connected again");
    assert!(batch.is_empty() && troubles > 0, "{} messages, {troubles} troubles", batch.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_hears_again_after_the_server_was_killed_or_the_connection_broke_or_hung() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let proxy = Proxy::start(redis.port());
    let config = json!({ "host": "127.0.0.1", "port": proxy.port(), "response-timeout": "500ms" });
    let roles = try_connect::<PubSub>(config, Vec::new()).await.expect("through the proxy");
    let mut hand = hand(&roles, wish(&["t", "p.*"], json!({}))).await;
    publish(&roles, "t", &["first"]).await.expect("published");
    hand.fetch(1).await;
    for hurt in ["kill", "reset", "hang"] {
        match hurt {
            "kill" => tokio::task::block_in_place(|| redis.server.restart()),
            "reset" => proxy.existing(Traffic::Reset),
            _ => proxy.existing(Traffic::Hang),
        }
        well_again(&mut hand).await;
        for topic in ["t", "p.x"] {
            until(async || publish(&roles, topic, &[hurt]).await.is_ok()).await;
        }
        let first = hand.fetch(2).await;
        assert_eq!(hand.payloads_from(first), [hurt, hurt]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_follows_the_sentinels_to_a_new_master() {
    let Some(all) = RedisSentinel::start(&RedisOptions::default()) else { return };
    let config = json!({ "sentinels": [format!("127.0.0.1:{}", all.sentinel.port())], "sentinel-master": RedisSentinel::NAME });
    let roles = try_connect::<PubSub>(config, Vec::new()).await.expect("the sentinel knows it");
    let mut hand = hand(&roles, wish(&["t"], json!({}))).await;
    tokio::task::block_in_place(|| all.master.server.kill());
    until(async || tokio::task::block_in_place(|| all.master_port()) == all.replica.port()).await;
    well_again(&mut hand).await;
    until(async || publish(&roles, "t", &["moved"]).await.is_ok()).await;
    hand.fetch(1).await;
    assert_eq!(hand.payloads(), ["moved"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_are_missing_are_told() {
    let Some(redis) = Redis::start(&RedisOptions::default().user(
        "me",
        "secret",
        "resetchannels &good.* resetkeys +@connection +publish +subscribe +psubscribe",
    )) else {
        return;
    };
    let config = json!({ "host": "127.0.0.1", "port": redis.port(), "username": "me", "password": "secret" });
    let roles = try_connect::<PubSub>(config, Vec::new()).await.expect("it is let in");
    publish(&roles, "good.x", &["x"]).await.expect("that may be");
    let answer = publish(&roles, "bad.x", &["x"]).await;
    assert!(matches!(&answer, Err(PublishError::Denied(words)) if words.contains("bad.x")), "{answer:?}");
    let error = crate::work::subscribe(&roles, wish(&["bad.*"], json!({}))).await.err().expect("there is no right to");
    assert!(error.fix == Fix::GiveUp && error.what.contains("rights"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_spoken_also_by_the_connection_that_hears() {
    let authority = Authority::new();
    let Some(redis) = Redis::start(&RedisOptions::default().tls(&authority)) else { return };
    let tls = json!({ "enabled": true, "ca": authority.certificate() });
    let config = json!({ "host": "localhost", "port": redis.tls_port(), "tls": tls });
    let roles = try_connect::<PubSub>(config, Vec::new()).await.expect("it is trusted");
    let mut hand = hand(&roles, wish(&["t"], json!({}))).await;
    publish(&roles, "t", &["x"]).await.expect("published");
    hand.fetch(1).await;
    assert_eq!(hand.payloads(), ["x"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_cannot_keep_is_refused() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let kept = TopicSettings { retention: Some(Duration::from_secs(1)), ..TopicSettings::default() };
    let config = json!({ "host": "127.0.0.1", "port": redis.port() });
    let error = try_connect::<PubSub>(config, vec![("t".into(), kept)]).await.err().expect("nothing is kept");
    assert!(error.fix == Fix::GiveUp && error.what.contains("redis-streams"), "{error}");
    let roles = connect(redis.port()).await;
    let grouped = Subscribe { group: Some("g".into()), ..wish(&["t"], json!({})) };
    let early = Subscribe { start: Start::Time(1), ..wish(&["t"], json!({})) };
    for bad in [grouped, early, wish(&["t"], json!({ "buffer": 0 }))] {
        assert_eq!(crate::work::subscribe(&roles, bad).await.err().expect("it is refused").fix, Fix::GiveUp);
    }
}
