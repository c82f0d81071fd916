//! Flags `ack-nack` and `delivery-guarantees`: what is settled never comes again, what is not always does.

use std::time::Duration;

use longshore_core::{Flag, TopicSettings, Waiting};

use super::bench::{SOON, next, push};
use super::{Bench, Hand, Test, suite};

pub(super) const SETTLING: &[Test] = suite!(Flag::AckNack =>
    what_is_settled_does_not_come_again,
    what_is_not_settled_comes_to_the_next_owner,
    what_is_finished_above_an_open_message_does_not_come_again,
    a_failed_message_comes_again_as_it_was,
    a_round_that_is_settled_twice_does_no_harm,
);

pub(super) const GUARANTEES: &[Test] = suite!(Flag::DeliveryGuarantees =>
    a_waiting_retry_outlives_its_lane,
    a_retry_that_was_handed_over_and_not_settled_comes_again,
);
pub(super) const WAITING: &[Test] = suite!(Flag::DeliveryGuarantees, Some(Flag::MessageOrdering), |_| true =>
    waiting_retries_are_told_when_a_lane_begins,
);
pub(super) const FAIRNESS: &[Test] = suite!(Flag::DeliveryGuarantees => retries_and_new_messages_do_not_starve_each_other);

pub(super) const PURGING: &[Test] = suite!(Flag::DeliveryGuarantees, |roles| roles.topics.is_some() =>
    a_purge_takes_lanes_away_that_wait_for_retries,
);

async fn what_is_settled_does_not_come_again(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a", "b"]).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(2).await;
    hand.all_done(0).settle().await;
    hand.close().await;
    bench.publish(&topic, &["c"]).await;
    let mut next = bench.hand(&topic, "g").await;
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["c"]);
}

async fn what_is_not_settled_comes_to_the_next_owner(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let ids = bench.publish(&topic, &["a", "b", "c"]).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(3).await;
    hand.done(0).settle().await;
    hand.close().await;
    let mut next = bench.hand(&topic, "g").await;
    next.fetch(2).await;
    assert_eq!(next.payloads(), ["b", "c"]);
    assert_eq!([next.got.get(0).id, next.got.get(1).id], [&*ids[1], &*ids[2]], "ids are stable");
    assert_eq!(next.got.get(0).attempt, 1, "being given back uses no attempt");
}

async fn what_is_finished_above_an_open_message_does_not_come_again(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a", "b", "c", "d", "e"]).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(5).await;
    hand.done(1).done(4).settle().await;
    hand.done(3).settle().await;
    hand.close().await;
    let mut next = bench.hand(&topic, "g").await;
    next.fetch(2).await;
    assert_eq!(next.payloads(), ["a", "c"]);
    next.all_done(0).settle().await;
    bench.publish(&topic, &["f"]).await;
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["a", "c", "f"]);
}

async fn a_failed_message_comes_again_as_it_was(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a", "b"]).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(2).await;
    hand.again(0, Duration::ZERO, 2, 77).done(1).settle().await;
    let again = hand.fetch(1).await;
    let (first, second) = (hand.got.get(0), hand.got.get(again));
    assert_eq!((second.id, second.key, second.payload), (first.id, first.key, first.payload));
    assert_eq!((second.timestamp, second.attempt), (first.timestamp, 2));
    let facts = hand.got.facts(again);
    assert_eq!((facts.deliveries, facts.first_failed_at, facts.unanswered), (2, 77, 0));
    hand.again(again, Duration::ZERO, 3, 77).settle().await;
    let third = hand.fetch(1).await;
    assert_eq!((hand.got.get(third).attempt, hand.got.facts(third).deliveries), (3, 3));
    hand.done(third).settle().await;
    bench.publish(&topic, &["c"]).await;
    hand.fetch(1).await;
    assert_eq!(hand.payloads(), ["a", "b", "a", "a", "c"], "a retry that is done is over");
}

async fn a_round_that_is_settled_twice_does_no_harm(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a", "b"]).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(2).await;
    hand.again(0, Duration::ZERO, 2, 1).done(1);
    let round = hand.round.clone();
    hand.settle().await;
    hand.lane.acks.settle(&round).await.expect("once more");
    bench.publish(&topic, &["c"]).await;
    let first = hand.fetch(2).await;
    let mut got = hand.payloads_from(first);
    got.sort();
    assert_eq!(got, ["a", "c"]);
    hand.all_done(first).settle().await;
    bench.publish(&topic, &["d"]).await;
    let last = hand.fetch(1).await;
    assert_eq!(hand.payloads_from(last), ["d"], "one retry, not two");
}

async fn a_waiting_retry_outlives_its_lane(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a"]).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(1).await;
    hand.again(0, Duration::from_millis(50), 4, 99).settle().await;
    hand.close().await;
    let mut next = bench.hand(&topic, "g").await;
    next.fetch(1).await;
    let (message, facts) = (next.got.get(0), next.got.facts(0));
    assert_eq!((message.payload, message.attempt), (Some(&b"a"[..]), 4));
    // A broker that hands out ahead may have begun to while the first lane was still there.
    assert!(facts.deliveries >= 2 && facts.first_failed_at == 99, "{facts:?}");
}

async fn a_retry_that_was_handed_over_and_not_settled_comes_again(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a"]).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(1).await;
    hand.again(0, Duration::ZERO, 2, 1).settle().await;
    hand.fetch(1).await;
    hand.close().await;
    let mut next = bench.hand(&topic, "g").await;
    next.fetch(1).await;
    assert_eq!((next.got.get(0).payload, next.got.get(0).attempt), (Some(&b"a"[..]), 2));
    next.done(0).settle().await;
    next.close().await;
    bench.publish(&topic, &["b"]).await;
    let mut last = bench.hand(&topic, "g").await;
    last.fetch(1).await;
    assert_eq!(last.payloads(), ["b"]);
}

async fn waiting_retries_are_told_when_a_lane_begins(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let mut outbox = longshore_core::Outbox::default();
    push(&mut outbox, &topic, Some("k"), "a", 0);
    push(&mut outbox, &topic, None, "b", 0);
    bench.publish_all(&outbox).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(2).await;
    let hour = Duration::from_secs(3600);
    hand.again(0, hour, 2, 1).again(1, hour * 2, 2, 1).settle().await;
    let position = |index| hand.got.receipt(index).position;
    let expected = [Waiting { position: position(0), key: Some(b"k".to_vec()) }, Waiting { position: position(1), key: None }];
    hand.close().await;
    let next = bench.hand(&topic, "g").await;
    assert_eq!(next.lane.waiting, expected);
}

async fn retries_and_new_messages_do_not_starve_each_other(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["x"; 60]).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(30).await;
    (0..30).for_each(|i| {
        hand.again(i, Duration::ZERO, 2, 1);
    });
    hand.settle().await;
    // What fails comes again at once, and there is always something new: whoever prefers one kind brings nothing else.
    let mut kinds = Vec::new();
    for _ in 0..15 {
        bench.publish(&topic, &["y"; 5]).await;
        let first = hand.fetch_some(longshore_core::Room { messages: 5, bytes: 1 << 20 }).await;
        for index in first..hand.got.len() {
            let attempt = hand.got.get(index).attempt;
            kinds.push(attempt.min(2));
            if attempt > 1 {
                hand.again(index, Duration::ZERO, attempt + 1, 1);
            }
        }
        hand.settle().await;
    }
    assert!(kinds.contains(&1) && kinds.contains(&2), "only one kind came: {kinds:?}");
}

async fn a_purge_takes_lanes_away_that_wait_for_retries(bench: Bench<'_>) {
    let broadcast = bench.subject.capabilities().has(Flag::Broadcast);
    for (name, group) in [("t", bench.group("g"))].into_iter().chain(broadcast.then_some(("u", None))) {
        let (topic, mut lanes);
        if group.is_some() {
            topic = bench.topic(name);
            bench.topics().create(&topic, &TopicSettings::default()).await.expect("made");
            lanes = bench.subscribe(&[&topic], group).await;
        } else {
            topic = bench.shared_topic(name).await;
            lanes = bench.subscribe_shared(&[&topic], group).await;
        }
        let mut hand = Hand::new(next(&mut lanes).await, None);
        bench.publish(&topic, &["a"]).await;
        hand.fetch(1).await;
        hand.again(0, Duration::from_secs(3600), 2, 1).settle().await;
        bench.topics().purge(&topic).await.expect("emptied");
        tokio::time::timeout(SOON, &mut hand.lane.revoked).await.expect("the lane is revoked");
        // Between two lanes: it must not be missed.
        bench.publish(&topic, &["b"]).await;
        drop(hand);
        let mut hand = Hand::new(next(&mut lanes).await, None);
        assert_eq!(hand.lane.waiting, [], "what was purged is not waited for");
        hand.fetch(1).await;
        assert_eq!(hand.payloads(), ["b"]);
    }
}
