//! Flag `transactions`: a round with all that belongs to it, or nothing of it.

use std::time::Duration;

use longshore_core::{Flag, Outbox, SettleError};

use super::bench::push;
use super::{Bench, Test, suite};

pub(super) const TESTS: &[Test] = suite!(Flag::Transactions =>
    outputs_are_published_with_the_round,
    a_round_with_an_output_that_cannot_be_is_refused_as_a_whole,
    a_refused_round_settles_once_it_is_changed,
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
