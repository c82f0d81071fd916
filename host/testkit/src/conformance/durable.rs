//! Flag `durable`: a crash of host and broker changes nothing.

use std::time::Duration;

use longshore_core::{Flag, Outbox};

use super::bench::{now, push};
use super::{Bench, Test, suite};

pub(super) const TESTS: &[Test] = suite!(Flag::Durable =>
    messages_and_marks_outlive_a_crash,
    retries_their_attempts_and_their_times_outlive_a_crash,
);
pub(super) const DELAYS: &[Test] = suite!(Flag::Durable, Some(Flag::Delay), |_| true => delayed_messages_outlive_a_crash);

async fn messages_and_marks_outlive_a_crash(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let ids = bench.publish(&topic, &["a", "b", "c", "d"]).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(4).await;
    hand.done(0).done(2).settle().await;
    let bench = bench.crash().await;
    drop(hand);
    let mut next = bench.hand(&topic, "g").await;
    next.fetch(2).await;
    assert_eq!(next.payloads(), ["b", "d"]);
    assert_eq!([next.got.get(0).id, next.got.get(1).id], [&*ids[1], &*ids[3]]);
    let facts = next.got.facts(0);
    assert_eq!((facts.deliveries, facts.unanswered), (2, 1), "it was in somebody's hands");
}

async fn retries_their_attempts_and_their_times_outlive_a_crash(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a", "b"]).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(2).await;
    let before = now();
    hand.again(0, Duration::from_millis(700), 3, 55).done(1).settle().await;
    drop(hand);
    let bench = bench.crash().await;
    let mut next = bench.hand(&topic, "g").await;
    next.fetch(1).await;
    let waited = now() - before;
    assert!(waited >= 700, "it was to wait 700 ms and came after {waited}");
    assert_eq!((next.payloads(), next.got.get(0).attempt), (vec!["a".into()], 3));
    assert_eq!(next.got.facts(0).first_failed_at, 55);
}

async fn delayed_messages_outlive_a_crash(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let mut outbox = Outbox::default();
    push(&mut outbox, &topic, None, "later", 500);
    let before = now();
    bench.publish_all(&outbox).await.remove(0).expect("taken");
    let bench = bench.crash().await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(1).await;
    let waited = now() - before;
    assert!(waited >= 500, "it was to wait 500 ms and came after {waited}");
}
