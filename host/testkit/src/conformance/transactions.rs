//! Flag `transactions`: a round with all that belongs to it, or nothing of it.

use std::time::Duration;

use longshore_core::{Flag, Outbox, PublishError, SettleError, headers};

use super::bench::{push, push_with};
use super::{Bench, Test, suite};

pub(super) const TESTS: &[Test] = suite!(Flag::Transactions =>
    outputs_are_published_with_the_round,
    a_round_with_an_output_that_cannot_be_is_refused_as_a_whole,
    a_refused_round_settles_once_it_is_changed,
    a_message_as_large_as_can_be_finds_room_among_the_dead_letters,
);

async fn outputs_are_published_with_the_round(bench: Bench<'_>) {
    let (from, to) = (bench.topic("from"), bench.topic("to"));
    bench.publish(&from, &["a"]).await;
    let mut hand = bench.hand(&from, "g").await;
    hand.fetch(1).await;
    let mut outbox = Outbox::default();
    ["x", "y"].iter().for_each(|payload| push(&mut outbox, &to, None, payload, 0));
    push(&mut outbox, &bench.topic("other"), None, "z", 0);
    hand.done(0).outputs(outbox).settle().await;
    let mut reader = bench.hand(&to, "g").await;
    reader.fetch(2).await;
    assert_eq!(reader.payloads(), ["x", "y"]);
    let mut other = bench.hand(&bench.topic("other"), "g").await;
    other.fetch(1).await;
}

/// A round of two messages: one done, one again, with an output that cannot be in the middle.
async fn bad_round(bench: &Bench<'_>) -> super::Hand {
    let (from, to) = (bench.topic("from"), bench.topic("to"));
    bench.publish(&from, &["a", "b"]).await;
    let mut hand = bench.hand(&from, "g").await;
    hand.fetch(2).await;
    let mut outbox = Outbox::default();
    for topic in [&*to, "not a topic*", &*to] {
        push(&mut outbox, topic, None, "x", 0);
    }
    hand.done(0).again(1, Duration::ZERO, 2, 1).outputs(outbox);
    let error = hand.try_settle().await.expect_err("an output cannot be");
    assert!(matches!(error, SettleError::Output { index: 1, .. }), "{error:?}");
    hand
}

async fn a_round_with_an_output_that_cannot_be_is_refused_as_a_whole(bench: Bench<'_>) {
    let hand = bad_round(&bench).await;
    hand.close().await;
    let mut next = bench.hand(&bench.topic("from"), "g").await;
    next.fetch(2).await;
    assert_eq!(next.payloads(), ["a", "b"]);
    assert_eq!((next.got.get(0).attempt, next.got.get(1).attempt), (1, 1));
    bench.publish(&bench.topic("to"), &["fence"]).await;
    let mut reader = bench.hand(&bench.topic("to"), "g").await;
    reader.fetch(1).await;
    assert_eq!(reader.payloads(), ["fence"], "nothing of the round was published");
}

async fn a_refused_round_settles_once_it_is_changed(bench: Bench<'_>) {
    let mut hand = bad_round(&bench).await;
    hand.round.outputs.clear();
    hand.settle().await;
    let again = hand.fetch(1).await;
    assert_eq!((hand.payloads_from(again), hand.got.get(again).attempt), (vec!["b".into()], 2));
}

/// Most bytes of payload that the bench tries.
const LARGEST: usize = 4 << 20;

/// Publishes the largest payload that the broker takes, up to a bound.
async fn publish_largest(bench: &Bench<'_>, topic: &str) -> String {
    let (mut good, mut bad) = (0, LARGEST);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        let mut outbox = Outbox::default();
        push(&mut outbox, &bench.topic("tries"), None, &"x".repeat(middle), 0);
        match bench.publish_all(&outbox).await.remove(0) {
            Ok(_) => good = middle,
            Err(PublishError::TooLarge(_)) => bad = middle,
            Err(error) => panic!("{middle} bytes: {error}"),
        }
    }
    // The name of the topic counts too: this one is as long.
    assert_eq!(topic.len(), bench.topic("tries").len());
    let payload = "x".repeat(good);
    bench.publish(topic, &[&payload]).await;
    payload
}

async fn a_message_as_large_as_can_be_finds_room_among_the_dead_letters(bench: Bench<'_>) {
    let topic = bench.topic("large");
    let payload = publish_largest(&bench, &topic).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(1).await;
    let (facts, graveyard) = ("f".repeat(4096), format!("{topic}.g.dlq"));
    // A broker may give such a topic more room than its source, which it is told by these.
    let headers: [(&str, &[u8]); 3] =
        [(headers::DEAD_REASON, b"exhausted"), (headers::DEAD_TOPIC, topic.as_bytes()), (headers::DEAD_MESSAGE, facts.as_bytes())];
    let mut outbox = Outbox::default();
    push_with(&mut outbox, &graveyard, None, &payload, &headers, 0);
    hand.done(0).outputs(outbox).settle().await;
    let mut dead = bench.hand(&graveyard, "g").await;
    dead.fetch(1).await;
    let message = dead.got.get(0);
    assert!(message.payload == Some(payload.as_bytes()), "the payload is not the original's");
    assert_eq!(message.headers.collect::<Vec<_>>(), headers);
}
