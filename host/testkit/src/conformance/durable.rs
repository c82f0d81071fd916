//! Flag `durable`: a crash of host and broker changes nothing.

use std::time::Duration;

use longshore_core::{Flag, Outbox};

use super::bench::{now, push};
use super::{Bench, Hand, Test, suite};

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
    fetch_until(&mut next, |hand| ["b", "d"].iter().all(|open| hand.payloads().iter().any(|payload| payload == open))).await;
    if bench.subject.confirms_settlements() {
        assert_eq!(next.payloads(), ["b", "d"]);
    }
    let place = |payload: &str| next.payloads().iter().position(|got| got == payload).expect("it came");
    assert_eq!([next.got.get(place("b")).id, next.got.get(place("d")).id], [&*ids[1], &*ids[3]]);
    let facts = next.got.facts(place("b"));
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
    fetch_until(&mut next, |hand| !hand.got.is_empty() && hand.got.get(hand.got.len() - 1).attempt == 3).await;
    let waited = now() - before;
    assert!(waited >= 700, "it was to wait 700 ms and came after {waited}");
    if bench.subject.confirms_settlements() {
        assert_eq!(next.payloads(), ["a"]);
    }
    let last = next.got.len() - 1;
    assert_eq!((next.payloads_from(last), next.got.facts(last).first_failed_at), (vec!["a".into()], 55));
}

async fn fetch_until(hand: &mut Hand, done: impl Fn(&Hand) -> bool) {
    while !done(hand) {
        hand.fetch(1).await;
    }
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
