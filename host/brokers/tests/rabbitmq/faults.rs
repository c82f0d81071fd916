//! What breaks in the middle, and how it goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_core::{Batch, BrokerError, Fix, Room};
use longshore_testkit::conformance::Hand;
use longshore_testkit::proxy::{Proxy, Traffic};
use longshore_testkit::servers::{self, Alarm, RabbitMq, RabbitMqOptions, unique};
use serde_json::json;

use super::support::{SOON, connect, connect_to, hand, subscribe, until, wish};
use crate::work::publish;

/// What a fetch of a lane that is lost says.
async fn lost(hand: &mut Hand) -> BrokerError {
    let mut batch = Batch::default();
    let told = async {
        loop {
            if let Err(error) = hand.lane.source.fetch(Room { messages: 10, bytes: 1 << 20 }, &mut batch).await {
                return error;
            }
        }
    };
    tokio::time::timeout(SOON, told).await.expect("it is told soon")
}

#[tokio::test]
async fn a_queue_that_is_deleted_underneath_is_told_and_made_again() {
    let Some(server) = servers::rabbitmq() else { return };
    let (roles, topic) = (connect_to(server).await, unique("t"));
    let mut reader = hand(&roles, wish(&topic, Some("g"), json!({}))).await;
    publish(&roles, &topic, &["before"]).await.expect("published");
    reader.fetch(1).await;
    let other = connect_to(server).await;
    assert!(other.topics.as_ref().expect("topics").delete(&topic).await.expect("deleted"));
    let error = lost(&mut reader).await;
    assert!(error.fix == Fix::Reconnect && error.what.contains(&topic) && error.what.contains("deleted"), "{error:?}");
    drop(reader);
    let mut reader = hand(&roles, wish(&topic, Some("g"), json!({}))).await;
    publish(&roles, &topic, &["after"]).await.expect("published");
    reader.fetch(1).await;
    assert_eq!(reader.payloads(), ["after"]);
}

#[tokio::test]
async fn a_publisher_makes_a_queue_again_that_was_deleted() {
    let Some(server) = servers::rabbitmq() else { return };
    let (roles, topic) = (connect_to(server).await, unique("t"));
    publish(&roles, &topic, &["a"]).await.expect("published");
    connect_to(server).await.topics.expect("topics").delete(&topic).await.expect("deleted");
    publish(&roles, &topic, &["b"]).await.expect("published");
    let mut reader = hand(&roles, wish(&topic, Some("g"), json!({}))).await;
    reader.fetch(1).await;
    assert_eq!(reader.payloads(), ["b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_shows_in_health_and_pauses_publishing_without_loss() {
    let Some(server) = RabbitMq::start(&RabbitMqOptions::default()) else { return };
    let config = json!({ "url": server.url(), "confirm-timeout": "1s" });
    let (roles, topic) = (connect(config, Vec::new()).await.expect("there"), unique("t"));
    let mut reader = hand(&roles, wish(&topic, Some("g"), json!({}))).await;
    publish(&roles, &topic, &["before"]).await.expect("published");
    tokio::task::block_in_place(|| server.raise(Alarm::Memory));
    let publisher = roles.publisher.as_ref().expect("it publishes");
    let mut outbox = longshore_core::Outbox::default();
    crate::work::push(&mut outbox, &topic, "meanwhile", 0);
    // The server says that it is blocked once somebody publishes.
    until(async || publisher.publish(&outbox).await.is_err_and(|error| error.fix == Fix::Retry && error.what.contains("alarm"))).await;
    let sick = roles.connection.ping().await.expect_err("it is not well");
    assert!(sick.what.contains("alarm"), "{sick}");
    reader.fetch(1).await;
    reader.done(0).settle().await;
    tokio::task::block_in_place(|| server.clear(Alarm::Memory));
    until(async || roles.connection.ping().await.is_ok()).await;
    publish(&roles, &topic, &["after"]).await.expect("published");
    until(async || {
        reader.fetch(1).await;
        reader.payloads().contains(&"after".to_owned())
    })
    .await;
}

/// Publishes and consumes while `break_it` breaks something again and again: nothing may be lost.
async fn goes_on(roles: &longshore_core::Roles, topic: &str, mut break_it: impl FnMut(usize)) {
    let mut published = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut reader: Option<Hand> = None;
    for round in 0..60 {
        if round % 20 == 10 {
            break_it(round);
        }
        let payload = round.to_string();
        if publish_or_not(roles, topic, &payload).await {
            published.insert(payload);
        }
        reader = read(roles, topic, reader, &mut seen).await;
    }
    assert!(published.len() > 20, "hardly anything was published: {published:?}");
    let all = async {
        while !seen.is_superset(&published) {
            reader = read(roles, topic, reader.take(), &mut seen).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("everything that was confirmed comes");
}

async fn publish_or_not(roles: &longshore_core::Roles, topic: &str, payload: &str) -> bool {
    let mut outbox = longshore_core::Outbox::default();
    crate::work::push(&mut outbox, topic, payload, 0);
    let answer = roles.publisher.as_ref().expect("it publishes").publish(&outbox).await;
    answer.is_ok_and(|answers| answers[0].is_ok())
}

/// One fetch and settlement, over a lane that is made anew when it was lost, as the engine does.
async fn read(roles: &longshore_core::Roles, topic: &str, reader: Option<Hand>, seen: &mut BTreeSet<String>) -> Option<Hand> {
    let mut reader = match reader {
        Some(reader) => reader,
        None => {
            let mut lanes = subscribe(roles, wish(topic, Some("g"), json!({}))).await.ok()?;
            let lane = futures::StreamExt::next(&mut lanes).await?.ok()?;
            Hand::new(lane, Some(lanes))
        }
    };
    let mut batch = Batch::default();
    let fetch = reader.lane.source.fetch(Room { messages: 10, bytes: 1 << 20 }, &mut batch);
    if let Ok(Err(_)) = tokio::time::timeout(Duration::from_millis(100), fetch).await {
        return None;
    }
    let first = reader.take(&batch);
    let payloads = reader.payloads_from(first);
    reader.all_done(first).try_settle().await.ok()?;
    seen.extend(payloads);
    Some(reader)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_in_the_middle_lose_nothing() {
    let Some(server) = servers::rabbitmq() else { return };
    let proxy = Proxy::start(server.port());
    // A connection that hangs is found out by its heartbeats.
    let config = json!({ "host": "127.0.0.1", "port": proxy.port(), "confirm-timeout": "1s", "connect-timeout": "2s", "heartbeat": "2s" });
    let (roles, topic) = (connect(config, Vec::new()).await.expect("there"), unique("t"));
    goes_on(&roles, &topic, |round| match round {
        10 => proxy.existing(Traffic::Cut),
        30 => proxy.existing(Traffic::Reset),
        _ => proxy.existing(Traffic::Hang),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_in_the_middle_loses_nothing() {
    let Some(server) = RabbitMq::start(&RabbitMqOptions::default()) else { return };
    let config = json!({ "url": server.url(), "confirm-timeout": "1s", "connect-timeout": "2s" });
    let (roles, topic) = (connect(config, Vec::new()).await.expect("there"), unique("t"));
    goes_on(&roles, &topic, |round| {
        if round == 30 {
            tokio::task::block_in_place(|| server.server.restart());
        }
    })
    .await;
}
