//! Sentinels: the server moves, and what was settled stays settled.

use std::time::Duration;

use longshore_brokers::redis::streams::Streams;
use longshore_core::{Batch, Fix, Room};
use longshore_testkit::servers::{RedisOptions, RedisSentinel, unique};
use serde_json::json;

use crate::support::try_connect;
use crate::work::{SOON, hand, publish, subscribe, until, wish};

fn config(all: &RedisSentinel, master: &str) -> serde_json::Value {
    json!({ "sentinels": [format!("127.0.0.1:{}", all.sentinel.port())], "sentinel-master": master, "lease": "60s" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_loses_nothing_that_was_settled_and_lanes_go_on_at_the_new_master() {
    let Some(all) = RedisSentinel::start(&RedisOptions::default()) else { return };
    let roles = try_connect::<Streams>(config(&all, RedisSentinel::NAME), Vec::new()).await.expect("the sentinel knows it");
    let topic = unique("moved");
    publish(&roles, &topic, &["a", "b", "c"]).await.expect("published");
    let mut before = hand(&roles, wish(&topic, json!({}))).await;
    before.fetch(3).await;
    before.done(0).again(1, Duration::from_millis(10), 3, 77).settle().await;
    let pending = || all.replica.ask(&["XPENDING", &topic, "g"]).map(|answer| answer[0].clone());
    until(async || pending().as_deref() == Ok("1")).await;
    tokio::task::block_in_place(|| all.master.server.kill());
    until(async || tokio::task::block_in_place(|| all.master_port()) == all.replica.port()).await;
    let room = Room { messages: 1, bytes: 1 << 20 };
    let lost = tokio::time::timeout(SOON, async {
        loop {
            match before.lane.source.fetch(room, &mut Batch::default()).await {
                Err(error) if error.fix == Fix::Reconnect => break error,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    });
    lost.await.expect("the lane of the old master ends");
    drop(before);
    let mut lane = None;
    until(async || {
        lane = subscribe(&roles, wish(&topic, json!({}))).await.ok();
        lane.is_some()
    })
    .await;
    let (lane, lanes) = lane.expect("it was found");
    let mut after = longshore_testkit::conformance::Hand::new(lane, Some(lanes));
    after.fetch(2).await;
    let mut got: Vec<_> = (0..2).map(|i| (after.payloads()[i].clone(), after.got.get(i).attempt)).collect();
    got.sort();
    assert_eq!(got, [("b".into(), 3), ("c".into(), 1)], "what was settled is, what was not comes again");
    until(async || publish(&roles, &topic, &["d"]).await.is_ok()).await;
    let next = after.fetch(1).await;
    assert_eq!(after.payloads_from(next), ["d"]);
    after.all_done(0).settle().await;
    assert_eq!(after.lane.source.take_lost(), 0, "the new master does not know what was read, and nothing is gone");
}

#[tokio::test]
async fn a_master_that_no_sentinel_knows_is_told_by_its_name() {
    let Some(all) = RedisSentinel::start(&RedisOptions::default()) else { return };
    let error = try_connect::<Streams>(config(&all, "nobody"), Vec::new()).await.err().expect("it is unknown");
    assert!(error.what.contains("\"nobody\""), "{error:?}");
    let check = async |config, word: &str| {
        let error = try_connect::<Streams>(config, Vec::new()).await.err().expect("it is refused");
        assert!(error.fix == Fix::GiveUp && error.what.contains(word), "{error:?}");
    };
    check(json!({ "sentinels": ["127.0.0.1:1"] }), "sentinel-master").await;
    check(json!({ "sentinel-master": "main" }), "sentinels").await;
    check(json!({ "sentinel-master": "main", "sentinels": ["here"] }), "host:26379").await;
    check(json!({ "sentinel-master": "main", "sentinels": ["127.0.0.1:1"], "port": 1 }), "in place of").await;
}
