//! Brokers that keep nothing: who listens when a message is published has it, once at most. What they are asked in place of tests that need
//! something to be kept.

use std::collections::BTreeSet;

use longshore_core::{BoxFuture, Receipts, Room};

use super::{Bench, Hand, Subject};

/// What is published before anybody listens reaches nobody, and there is no role that would tell of anything kept.
pub(super) fn keeps_nothing(subject: &dyn Subject) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let bench = Bench::new(subject).await;
        let topic = bench.topic("t");
        assert!(!bench.publish_early(&topic, "before").await, "it keeps nothing");
        let mut hand = bench.hand(&topic, "g").await;
        bench.publish(&topic, &["after"]).await;
        hand.fetch(1).await;
        assert_eq!(hand.payloads(), ["after"]);
        let roles = &bench.roles;
        assert!(roles.groups.is_none() && roles.dead_letters.is_none(), "it has a role that tells of what is kept");
    })
}

/// What was handed over is gone, whether it was settled or not: it comes neither to the same lane nor to the next.
pub(super) fn never_comes_again(subject: &dyn Subject) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let bench = Bench::new(subject).await;
        let topic = bench.topic("t");
        let (mut hand, _) = bench.hand_with(&topic, &["a", "b"]).await;
        hand.fetch(2).await;
        hand.done(0).settle().await;
        hand.close().await;
        let (mut hand, _) = bench.hand_with(&topic, &["fence"]).await;
        hand.fetch(1).await;
        assert_eq!(hand.payloads(), ["fence"]);
        hand.lane.acks.close(Receipts::default()).await.expect("a lane closes");
    })
}

/// Members of a group who listen divide what is published, and who is left gets all of it.
pub(super) async fn a_member_that_leaves_is_followed_by_another(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let (mut first, mut second) = (bench.hand(&topic, "g").await, bench.hand(&topic, "g").await);
    let payloads: Vec<String> = (0..100).map(|i| i.to_string()).collect();
    bench.publish(&topic, &payloads.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let (of_first, of_second) = share(&mut first, &mut second, payloads.len()).await;
    assert!(of_first.is_disjoint(&of_second), "both have some: {of_first:?} and {of_second:?}");
    assert!(!of_first.is_empty() && !of_second.is_empty(), "{} and {}: one has all of them", of_first.len(), of_second.len());
    first.close().await;
    bench.publish(&topic, &["x", "y", "z"]).await;
    let from = second.fetch(3).await;
    assert_eq!(second.payloads_from(from), ["x", "y", "z"]);
}

/// What each of two hands gets of `count` messages.
async fn share(first: &mut Hand, second: &mut Hand, count: usize) -> (BTreeSet<String>, BTreeSet<String>) {
    while first.got.len() + second.got.len() < count {
        let room = Room { messages: count, bytes: 1 << 20 };
        tokio::select! {
            _ = first.fetch_some(room) => {}
            _ = second.fetch_some(room) => {}
        }
    }
    (first.payloads().into_iter().collect(), second.payloads().into_iter().collect())
}
