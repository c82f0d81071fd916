//! Losses of the field that look the same on streams and on lists; each kind has tests of these names.

use std::time::Duration;

use longshore_core::Adapter;
use longshore_testkit::servers::{self, Redis, RedisOptions, unique};
use serde_json::json;

use crate::support::connect;
use crate::work::{hand, publish, wish};

/// A success after a failure does not commit past it.
pub(crate) async fn a_success_after_a_failure<A: Adapter>() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic) = (connect::<A>(redis.port()).await, unique("past"));
    publish(&roles, &topic, &["fails", "succeeds"]).await.expect("published");
    let mut first = hand(&roles, wish(&topic, json!({}))).await;
    first.fetch(2).await;
    first.done(1).settle().await;
    first.close().await;
    let mut next = hand(&roles, wish(&topic, json!({}))).await;
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["fails"]);
}

/// At most once only one host has a message for good: a host that was away for longer than its lease takes nothing that another got.
pub(crate) async fn at_most_once_one_host_has_a_message<A: Adapter>(retried: bool) {
    let Some(redis) = servers::redis() else { return };
    let (slow, other, topic) = (connect::<A>(redis.port()).await, connect::<A>(redis.port()).await, unique("once"));
    publish(&other, &topic, &["a", "b", "c"]).await.expect("published");
    let short = json!({ "lease": "300ms" });
    let mut slow = hand(&slow, wish(&topic, short.clone())).await;
    let mut from = slow.fetch(3).await;
    if retried {
        for i in 0..3 {
            slow.again(i, Duration::ZERO, 2, 1);
        }
        slow.settle().await;
        from = slow.fetch(3).await;
    }
    let mut other = hand(&other, wish(&topic, short)).await;
    other.fetch(3).await;
    let mut taken = [0, 0, 0];
    other.done(0).done(1);
    assert!(other.lane.acks.take(&other.round).await.expect("settled").is_empty(), "all of it is its own");
    other.round.finished.iter().for_each(|receipt| taken[at(&slow, receipt.position)] += 1);
    slow.all_done(from);
    let lost = slow.lane.acks.take(&slow.round).await.expect("settled");
    (0..3).filter(|i| !lost.contains(i)).for_each(|i| taken[i] += 1);
    assert_eq!(lost, [0, 1, 2], "what the other has settled, and what it only has");
    let left = other.got.receipt(2).position;
    other.round.finished.clear();
    other.done(2);
    assert!(other.lane.acks.take(&other.round).await.expect("settled").is_empty());
    taken[at(&slow, left)] += 1;
    assert_eq!(taken, [1, 1, 1]);
    assert_eq!(other.lane.acks.take(&other.round).await.expect("settled"), [0], "it is taken once");
}

/// Where the hand has a message of that position.
fn at(hand: &longshore_testkit::conformance::Hand, position: u64) -> usize {
    (0..hand.got.len()).find(|i| hand.got.receipt(*i).position == position).expect("it was in that hand")
}

/// Retry count and due time survive `kill -9` of the server.
pub(crate) async fn retry_count_and_due_time<A: Adapter>() {
    let Some(redis) = Redis::start(&RedisOptions::default().durable()) else { return };
    let (roles, topic) = (connect::<A>(redis.port()).await, unique("survives"));
    publish(&roles, &topic, &["a"]).await.expect("published");
    let mut before = hand(&roles, wish(&topic, json!({}))).await;
    before.fetch(1).await;
    let began = tokio::time::Instant::now();
    before.again(0, Duration::from_millis(1500), 4, 77).settle().await;
    drop((before, roles));
    tokio::task::block_in_place(|| redis.server.restart());
    let roles = connect::<A>(redis.port()).await;
    let mut after = hand(&roles, wish(&topic, json!({}))).await;
    after.fetch(1).await;
    assert!(began.elapsed() >= Duration::from_millis(1500), "it came after {:?}", began.elapsed());
    assert_eq!((after.got.get(0).attempt, after.got.facts(0).first_failed_at, after.got.facts(0).deliveries), (4, 77, 2));
}
