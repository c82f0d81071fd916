//! The losses of the field, by name. That a failed handler has published nothing is the engine's: an adapter publishes what it is told.

use std::time::Duration;

use longshore_core::{Clock, Order, Subscribe};
use longshore_testkit::servers::{self, Nats, NatsOptions, unique};
use serde_json::json;

use super::support::{connect_to, hand, wish};
use crate::work::publish;

#[tokio::test]
async fn a_success_after_a_failure_does_not_commit_past_it() {
    let Some(nats) = servers::nats() else { return };
    let (roles, topic) = (connect_to(nats).await, unique("t"));
    publish(&roles, &topic, &["a", "b", "c"]).await.expect("published");
    let mut first = hand(&roles, wish(&[&topic], "g", json!({ "lease": "1s" }))).await;
    first.fetch(3).await;
    first.done(1).done(2).settle().await;
    // It dies: nothing is given back.
    drop((first, roles));
    let roles = connect_to(nats).await;
    let mut next = hand(&roles, wish(&[&topic], "g", json!({ "lease": "1s" }))).await;
    next.fetch(1).await;
    assert_eq!((next.payloads(), next.got.facts(0).unanswered), (vec!["a".into()], 1));
    next.done(0).settle().await;
    publish(&roles, &topic, &["d"]).await.expect("published");
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["a", "d"]);
}

/// What is new comes while the leases of what a dead host has run out, and has to wait for that.
#[tokio::test]
async fn a_lane_that_waits_for_what_was_lent_before_begins_once_and_in_order() {
    let Some(nats) = servers::nats() else { return };
    let (roles, topic) = (connect_to(nats).await, unique("t"));
    let payloads: Vec<String> = (0..300).map(|i| i.to_string()).collect();
    let (lent, new) = payloads.split_at(100);
    let ordered = Subscribe { order: Order::Lane, ..wish(&[&topic], "g", json!({ "lease": "2s" })) };
    publish(&roles, &topic, lent).await.expect("published");
    let mut first = hand(&roles, ordered.clone()).await;
    first.fetch(100).await;
    // It dies: nothing is given back.
    drop((first, roles));
    let roles = connect_to(nats).await;
    publish(&roles, &topic, new).await.expect("published");
    let mut next = hand(&roles, ordered).await;
    next.fetch(300).await;
    assert_eq!(next.payloads(), payloads);
}

#[tokio::test]
async fn a_late_ack_after_revocation_does_nothing() {
    let Some(nats) = servers::nats() else { return };
    let (roles, topic) = (connect_to(nats).await, unique("t"));
    publish(&roles, &topic, &["a"]).await.expect("published");
    let mut first = hand(&roles, wish(&[&topic], "g", json!({}))).await;
    first.fetch(1).await;
    roles.topics.as_ref().expect("it has topics").purge(&topic).await.expect("purged");
    tokio::time::timeout(Duration::from_secs(10), &mut first.lane.revoked).await.expect("the lane is revoked");
    publish(&roles, &topic, &["b"]).await.expect("published");
    let mut next = hand(&roles, wish(&[&topic], "g", json!({}))).await;
    first.done(0).settle().await;
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["b"]);
}

#[tokio::test]
async fn a_late_ack_of_one_host_does_not_undo_the_retry_of_another() {
    let Some(nats) = servers::nats() else { return };
    let (roles, topic) = (connect_to(nats).await, unique("t"));
    publish(&roles, &topic, &["a"]).await.expect("published");
    let keys = || json!({ "lease": "1s" });
    let mut slow = hand(&roles, wish(&[&topic], "g", keys())).await;
    slow.fetch(1).await;
    let mut other = hand(&roles, wish(&[&topic], "g", keys())).await;
    other.fetch(1).await;
    other.again(0, Duration::from_millis(50), 2, 1).settle().await;
    slow.done(0).settle().await;
    let again = other.fetch(1).await;
    assert_eq!(other.got.get(again).attempt, 2, "a duplicate beats a loss");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_count_and_due_time_survive_kill_9() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let roles = connect_to(&nats).await;
    publish(&roles, "t", &["a"]).await.expect("published");
    let mut first = hand(&roles, wish(&["t"], "g", json!({ "lease": "1s" }))).await;
    first.fetch(1).await;
    let before = Clock::system().now();
    first.again(0, Duration::from_millis(1500), 4, 77).settle().await;
    // At once: what the server keeps of the consumer in its memory goes, and the original with it comes again.
    tokio::task::block_in_place(|| nats.server.restart());
    drop((first, roles));
    let roles = connect_to(&nats).await;
    let mut next = hand(&roles, wish(&["t"], "g", json!({ "lease": "1s" }))).await;
    next.fetch(1).await;
    let waited = Clock::system().now() - before;
    assert!(waited >= 1500, "it was to wait 1500 ms and came after {waited}");
    assert_eq!((next.payloads(), next.got.get(0).attempt, next.got.facts(0).first_failed_at), (vec!["a".into()], 4, 77));
    next.done(0).settle().await;
    publish(&roles, "t", &["b"]).await.expect("published");
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["a", "b"], "it came once");
}
