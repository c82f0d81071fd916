//! The losses of the field, by name. That a failed handler has published nothing is the engine's: an adapter publishes what it is told.

use std::time::Duration;

use longshore_core::{Fix, SettleError};
use longshore_testkit::proxy::{Proxy, Traffic};
use longshore_testkit::servers::{self, RabbitMq, RabbitMqOptions, unique};
use serde_json::json;

use super::support::{connect, connect_to, hand, wish};
use crate::work::publish;

#[tokio::test]
async fn a_success_after_a_failure_does_not_commit_past_it() {
    let Some(server) = servers::rabbitmq() else { return };
    let (roles, topic) = (connect_to(server).await, unique("t"));
    publish(&roles, &topic, &["a", "b", "c", "d"]).await.expect("published");
    let mut first = hand(&roles, wish(&topic, Some("g"), json!({}))).await;
    first.fetch(4).await;
    first.done(1).done(3).settle().await;
    first.done(2).settle().await;
    // It dies: nothing is given back.
    drop((first, roles));
    let roles = connect_to(server).await;
    let mut next = hand(&roles, wish(&topic, Some("g"), json!({}))).await;
    next.fetch(1).await;
    assert_eq!((next.payloads(), next.got.facts(0).deliveries), (vec!["a".into()], 2));
    next.done(0).settle().await;
    publish(&roles, &topic, &["e"]).await.expect("published");
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["a", "e"]);
}

#[tokio::test]
async fn a_late_ack_after_revocation_does_nothing() {
    let Some(server) = servers::rabbitmq() else { return };
    let (roles, topic) = (connect_to(server).await, unique("t"));
    publish(&roles, &topic, &["a"]).await.expect("published");
    let mut first = hand(&roles, wish(&topic, Some("g"), json!({}))).await;
    first.fetch(1).await;
    // Its connection goes, and with it every tag of its channel.
    roles.connection.close().await.expect("closed");
    let mut next = hand(&roles, wish(&topic, Some("g"), json!({}))).await;
    next.fetch(1).await;
    // The tag is the same in both lanes, as each counts for itself.
    assert!(first.done(0).try_settle().await.is_err(), "its channel is gone");
    publish(&roles, &topic, &["b"]).await.expect("published");
    drop((first, next));
    let mut last = hand(&roles, wish(&topic, Some("g"), json!({}))).await;
    last.fetch(2).await;
    let mut got = last.payloads();
    got.sort();
    assert_eq!(got, ["a", "b"], "what nobody settled is still there");
}

#[tokio::test]
async fn at_most_once_nothing_is_taken_over_a_connection_that_the_server_has_given_up() {
    let Some(server) = servers::rabbitmq() else { return };
    let proxy = Proxy::start(server.port());
    let url = format!("amqp://guest:guest@127.0.0.1:{}/%2f", proxy.port());
    let (there, topic) = (connect_to(server).await, unique("t"));
    let roles = connect(json!({ "url": url, "heartbeat": "2s", "confirm-timeout": "1s" }), Vec::new()).await.expect("there");
    publish(&there, &topic, &["a", "b"]).await.expect("published");
    let mut first = hand(&roles, wish(&topic, Some("g"), json!({}))).await;
    first.fetch(2).await;
    first.done(0);
    assert!(first.lane.acks.take(&first.round).await.expect("the server answers").is_empty());
    first.round.finished.clear();
    proxy.existing(Traffic::Hang);
    first.done(1);
    let error = first.lane.acks.take(&first.round).await.expect_err("nobody heard it");
    assert!(matches!(&error, SettleError::Broker(error) if error.fix == Fix::Reconnect), "{error}");
    let mut next = hand(&there, wish(&topic, Some("g"), json!({}))).await;
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["b"]);
    next.done(0);
    assert!(next.lane.acks.take(&next.round).await.expect("the server answers").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_count_and_due_time_survive_kill_9() {
    let Some(server) = RabbitMq::start(&RabbitMqOptions::default()) else { return };
    let (roles, topic) = (connect_to(&server).await, unique("t"));
    publish(&roles, &topic, &["a"]).await.expect("published");
    let mut first = hand(&roles, wish(&topic, Some("g"), json!({}))).await;
    first.fetch(1).await;
    let clock = longshore_core::Clock::system();
    let before = clock.now();
    first.again(0, Duration::from_secs(9), 4, 55).settle().await;
    drop((first, roles));
    tokio::task::block_in_place(|| server.server.restart());
    let roles = connect_to(&server).await;
    let mut next = hand(&roles, wish(&topic, Some("g"), json!({}))).await;
    // RabbitMQ confirms no acknowledgement: the message itself may come again, and its retry comes all the same.
    loop {
        let index = next.fetch(1).await;
        let message = next.got.get(index);
        if message.attempt == 4 {
            assert_eq!((message.payload, next.got.facts(index).first_failed_at), (Some(&b"a"[..]), 55));
            break;
        }
    }
    assert!(clock.now() - before >= 9_000, "it was to wait 9 s and came after {} ms", clock.now() - before);
}
