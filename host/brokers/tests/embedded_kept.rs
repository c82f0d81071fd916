//! What is kept and what goes: retention by age, by size and by every group, and space.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use longshore_core::{Adapter, Clock, Connect, Order, Roles, Subscribe, TopicInfo, TopicSettings};
use longshore_testkit::conformance::Hand;
use serde_json::json;
use support::work::{hand, publish, wish};
use support::{connect_in, open, until};
use tempfile::tempdir;

async fn info(roles: &Roles, topic: &str) -> TopicInfo {
    let topics = roles.topics.as_ref().unwrap().list().await.unwrap();
    topics.into_iter().find(|info| info.name == topic).expect("the topic is listed")
}

#[tokio::test]
async fn messages_go_when_they_are_too_old() {
    let (folder, time) = (tempdir().unwrap(), Arc::new(AtomicU64::new(1_000_000)));
    let clock = {
        let time = time.clone();
        Clock::new(move || time.load(Ordering::Relaxed))
    };
    let config = serde_json::from_value(json!({"retention": "1h", "tidy-interval": "5ms"})).unwrap();
    let roles = longshore_brokers::embedded::Embedded::connect(config, Connect { clock, ..connect_in(folder.path()) }).await.unwrap();
    publish(&roles, "t", &["a", "b"]).await.unwrap();
    time.fetch_add(1_800_000, Ordering::Relaxed);
    publish(&roles, "t", &["c"]).await.unwrap();
    time.fetch_add(1_800_001, Ordering::Relaxed);
    until(async || info(&roles, "t").await.messages == 1).await;
    assert_eq!(info(&roles, "t").await.positions, Some((3, 3)));
    let mut late = hand(&roles, "t", "g").await;
    late.fetch(1).await;
    assert_eq!(late.payloads(), ["c"]);
}

#[tokio::test]
async fn nothing_goes_that_somebody_holds() {
    let (folder, time) = (tempdir().unwrap(), Arc::new(AtomicU64::new(1_000_000)));
    let clock = {
        let time = time.clone();
        Clock::new(move || time.load(Ordering::Relaxed))
    };
    let config = serde_json::from_value(json!({"retention": "1h", "tidy-interval": "5ms"})).unwrap();
    let roles = longshore_brokers::embedded::Embedded::connect(config, Connect { clock, ..connect_in(folder.path()) }).await.unwrap();
    publish(&roles, "other", &["x"]).await.unwrap();
    publish(&roles, "t", &["a", "b"]).await.unwrap();
    let mut held = hand(&roles, "t", "g").await;
    held.fetch(2).await;
    time.fetch_add(3_600_001, Ordering::Relaxed);
    until(async || info(&roles, "other").await.messages == 0).await;
    assert_eq!(info(&roles, "t").await.messages, 2);
    held.again(0, Duration::ZERO, 2, 1).done(1).settle().await;
    until(async || info(&roles, "t").await.messages == 0).await;
    let again = held.fetch(1).await;
    assert_eq!(held.payloads_from(again), ["a"], "a retry has a row of its own");
}

#[tokio::test]
async fn the_oldest_go_when_there_are_too_many_bytes() {
    let folder = tempdir().unwrap();
    let roles = open(folder.path(), json!({"tidy-interval": "5ms"})).await.unwrap();
    let settings = TopicSettings { max_size: Some(100_000), ..TopicSettings::default() };
    roles.topics.as_ref().unwrap().create("t", &settings).await.unwrap();
    publish(&roles, "t", &vec!["x".repeat(1000); 300]).await.unwrap();
    until(async || info(&roles, "t").await.bytes.unwrap() <= 100_000).await;
    let TopicInfo { messages, positions, .. } = info(&roles, "t").await;
    assert!((85..100).contains(&messages), "{messages} of about a thousand bytes are left");
    assert_eq!(positions.unwrap().1, 300);
}

#[tokio::test]
async fn messages_go_once_every_group_has_finished_them() {
    let folder = tempdir().unwrap();
    let roles = open(folder.path(), json!({"tidy-interval": "5ms", "until-finished": true})).await.unwrap();
    publish(&roles, "t", &["a", "b", "c"]).await.unwrap();
    let (mut fast, mut slow) = (hand(&roles, "t", "fast").await, hand(&roles, "t", "slow").await);
    fast.fetch(3).await;
    fast.all_done(0).settle().await;
    slow.fetch(3).await;
    slow.done(0).settle().await;
    until(async || info(&roles, "t").await.messages == 2).await;
    slow.done(1).done(2).settle().await;
    until(async || info(&roles, "t").await.messages == 0).await;
    drop((fast, slow));
    roles.connection.close().await.unwrap();
    let roles = open(folder.path(), json!({})).await.unwrap();
    assert_eq!(publish(&roles, "t", &["d"]).await.unwrap(), ["t/4"], "positions are never used twice");
}

#[tokio::test]
async fn a_broadcast_that_left_keeps_nothing() {
    let folder = tempdir().unwrap();
    let roles = open(folder.path(), json!({"tidy-interval": "5ms", "until-finished": true})).await.unwrap();
    let mut held = hand(&roles, "t", "g").await;
    let broadcast = Subscribe { group: None, ..wish("t", "", Order::None) };
    let mut lanes = roles.consumer.as_ref().unwrap().subscribe(broadcast).await.unwrap();
    let lane = lanes.next().await.unwrap().unwrap();
    publish(&roles, "t", &["a"]).await.unwrap();
    held.fetch(1).await;
    held.done(0).settle().await;
    drop(lane);
    // It may come back as long as it is subscribed, and finds what it has not seen.
    let mut lane = Hand::new(lanes.next().await.unwrap().unwrap(), None);
    lane.fetch(1).await;
    drop((lane, lanes));
    until(async || info(&roles, "t").await.messages == 0).await;
}

#[tokio::test]
async fn space_is_given_back() {
    let folder = tempdir().unwrap();
    let roles = open(folder.path(), json!({"tidy-interval": "5ms"})).await.unwrap();
    for _ in 0..5 {
        publish(&roles, "t", &vec!["x".repeat(10_000); 200]).await.unwrap();
    }
    roles.topics.as_ref().unwrap().purge("t").await.unwrap();
    let connection = rusqlite::Connection::open(folder.path().join("longshore.db")).unwrap();
    let pages = || connection.pragma_query_value(None, "page_count", |row| row.get::<_, u64>(0)).unwrap();
    until(async || pages() * 8192 < 2_000_000).await;
    drop(connection);
    roles.connection.close().await.unwrap();
    let size = std::fs::metadata(folder.path().join("longshore.db")).unwrap().len();
    assert!(size < 2_000_000, "the file has {size} bytes of ten million");
}

#[tokio::test]
async fn counts_are_right_after_a_crash() {
    let folder = tempdir().unwrap();
    let roles = open(folder.path(), json!({})).await.unwrap();
    publish(&roles, "t", &vec!["x".repeat(9_000); 700]).await.unwrap();
    publish(&roles, "t", &["y"; 7]).await.unwrap();
    let before = info(&roles, "t").await;
    let copy = support::crash(folder.path());
    let roles = open(copy.path(), json!({})).await.unwrap();
    assert_eq!(info(&roles, "t").await, before);
    assert_eq!(before.messages, 707);
}
