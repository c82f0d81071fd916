//! Flag `delay`: not before its time, and not much after.

use std::time::Duration;

use longshore_core::{Flag, Outbox};

use super::bench::{now, push};
use super::{Bench, Test, suite};

pub(super) const TESTS: &[Test] = suite!(Flag::Delay =>
    a_delayed_message_is_never_early,
    delayed_messages_come_in_the_order_of_their_times,
    a_delayed_retry_is_never_early,
);
pub(super) const COUNTS: &[Test] = suite!(Flag::Delay, |roles| roles.topics.is_some() => delayed_messages_are_counted_and_purged);

async fn a_delayed_message_is_never_early(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let mut hand = bench.hand(&topic, "g").await;
    for delay in [1, 7, 40, 150] {
        let mut outbox = Outbox::default();
        push(&mut outbox, &topic, None, "later", delay);
        let before = now();
        let id = bench.publish_all(&outbox).await.remove(0).expect("taken");
        let index = hand.fetch(1).await;
        let waited = now() - before;
        assert!(waited >= delay, "it was to wait {delay} ms and came after {waited}");
        assert_eq!(hand.got.get(index).id, id, "the publisher knows the id");
    }
}

async fn delayed_messages_come_in_the_order_of_their_times(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let mut hand = bench.hand(&topic, "g").await;
    let mut outbox = Outbox::default();
    for (payload, delay) in [("c", 300), ("b", 150), ("now", 0), ("a", 50)] {
        push(&mut outbox, &topic, None, payload, delay);
    }
    bench.publish_all(&outbox).await.into_iter().for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
    hand.fetch(4).await;
    assert_eq!(hand.payloads(), ["now", "a", "b", "c"]);
}

async fn a_delayed_retry_is_never_early(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a"]).await;
    let mut hand = bench.hand(&topic, "g").await;
    let mut index = hand.fetch(1).await;
    for (attempt, delay) in [(2, 1), (3, 25), (4, 120)] {
        let before = now();
        hand.again(index, Duration::from_millis(delay), attempt, 1).settle().await;
        index = hand.fetch(1).await;
        let waited = now() - before;
        assert!(waited >= delay, "it was to wait {delay} ms and came after {waited}");
        assert_eq!(hand.got.get(index).attempt, attempt);
    }
}

async fn delayed_messages_are_counted_and_purged(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let mut outbox = Outbox::default();
    push(&mut outbox, &topic, None, "much later", 3_600_000);
    bench.publish_all(&outbox).await.remove(0).expect("taken");
    let delayed = async || {
        let topics = bench.topics().list().await.expect("listed");
        topics.into_iter().find(|info| info.name == topic).expect("there").delayed
    };
    assert_eq!(delayed().await, 1);
    bench.topics().purge(&topic).await.expect("purged");
    assert_eq!(delayed().await, 0);
}
