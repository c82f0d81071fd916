//! Flag `broadcast`: every subscriber gets what comes while it is there.

use std::time::Duration;

use longshore_core::{Flag, Start, Subscribe};

use super::bench::{next, wish};
use super::{Bench, Hand, Test, suite};

pub(super) const TESTS: &[Test] = suite!(Flag::Broadcast =>
    every_subscriber_gets_a_copy_of_what_comes_while_it_is_there,
);
pub(super) const RETRIES: &[Test] = suite!(Flag::Broadcast, not of Forgetful => a_failed_broadcast_comes_again_to_its_subscriber_alone);
pub(super) const GROUPS: &[Test] = suite!(Flag::Broadcast, |roles| roles.groups.is_some() => a_broadcast_leaves_no_group);

/// A broadcast from now on. Beside groups it never is anything else; where there are none, the start says so.
async fn hand(bench: &Bench<'_>, topic: &str) -> Hand {
    let mut subscribe = Subscribe { own: bench.subject.shared().subscription, ..wish(&[topic], None) };
    if !bench.subject.capabilities().has(Flag::ConsumerGroups) {
        subscribe.start = Start::Latest;
    }
    let mut lanes = bench.try_subscribe(&subscribe).await.expect("the broker takes the subscription");
    Hand::new(next(&mut lanes).await, Some(lanes))
}

async fn every_subscriber_gets_a_copy_of_what_comes_while_it_is_there(bench: Bench<'_>) {
    let topic = bench.shared_topic("t").await;
    bench.publish_early(&topic, "before").await;
    let (mut first, mut second) = (hand(&bench, &topic).await, hand(&bench, &topic).await);
    bench.publish(&topic, &["a", "b"]).await;
    first.fetch(2).await;
    first.all_done(0).settle().await;
    second.fetch(2).await;
    assert_eq!((first.payloads(), second.payloads()), (vec!["a".into(), "b".into()], vec!["a".into(), "b".into()]));
}

async fn a_failed_broadcast_comes_again_to_its_subscriber_alone(bench: Bench<'_>) {
    let topic = bench.shared_topic("t").await;
    let (mut first, mut second) = (hand(&bench, &topic).await, hand(&bench, &topic).await);
    bench.publish(&topic, &["a"]).await;
    first.fetch(1).await;
    first.again(0, Duration::ZERO, 2, 1).settle().await;
    let again = first.fetch(1).await;
    assert_eq!(first.got.get(again).attempt, 2);
    bench.publish(&topic, &["b"]).await;
    second.fetch(2).await;
    assert_eq!(second.payloads(), ["a", "b"]);
}

async fn a_broadcast_leaves_no_group(bench: Bench<'_>) {
    let topic = bench.shared_topic("t").await;
    let groups = bench.roles.groups.clone().expect("only a broker with the role is tested");
    let hand = hand(&bench, &topic).await;
    let of_topic = async || groups.list().await.expect("listed").into_iter().filter(|info| info.topic == topic).count();
    assert_eq!(of_topic().await, 0);
    hand.close().await;
    assert_eq!(of_topic().await, 0);
}
