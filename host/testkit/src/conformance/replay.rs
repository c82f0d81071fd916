//! Flag `replay`: reading begins where it is told to, groups are moved, and logs read without a group.

use std::time::Duration;

use longshore_core::{Fix, Flag, Groups, Page, SeekTo, Start};

use super::bench::{SOON, next, wish};
use super::{Bench, Hand, Test, suite};

pub(super) const SUBSCRIBING: &[Test] = suite!(Flag::Replay => a_start_at_a_time_begins_with_the_first_message_from_then_on);
pub(super) const GROUPS: &[Test] = suite!(Flag::Replay, |roles| roles.groups.is_some() =>
    a_group_is_moved_to_the_beginning_the_end_a_position_and_a_time,
    a_group_that_moves_loses_its_retries,
    a_group_in_use_is_not_moved,
);
pub(super) const TOPICS: &[Test] = suite!(Flag::Replay, |roles| roles.topics.is_some() =>
    browsing_moves_nobody,
    waiting_for_messages_ends_when_there_are_some,
);

async fn a_start_at_a_time_begins_with_the_first_message_from_then_on(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a", "b", "c"]).await;
    // Appended later than everything before, by the clock that counts.
    let then = after_now().await;
    bench.publish(&topic, &["d", "e"]).await;
    let mut subscribe = wish(&[&topic], bench.group("g"));
    subscribe.start = Start::Time(then);
    let mut lanes = bench.try_subscribe(&subscribe).await.expect("subscribed");
    let mut hand = Hand::new(next(&mut lanes).await, Some(lanes));
    hand.fetch(2).await;
    assert_eq!(hand.payloads(), ["d", "e"]);
}

/// Waits until the millisecond is over, and names the new one.
async fn after_now() -> u64 {
    let before = super::bench::now();
    while super::bench::now() <= before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    super::bench::now()
}

fn groups<'a>(bench: &'a Bench<'_>) -> &'a dyn Groups {
    bench.roles.groups.as_deref().expect("only a broker with the role is tested")
}

/// Reads everything from where the group stands, and gives it back.
async fn read(bench: &Bench<'_>, topic: &str, count: usize) -> Vec<String> {
    let mut hand = bench.hand(topic, "g").await;
    hand.fetch(count).await;
    let payloads = hand.payloads();
    hand.close().await;
    payloads
}

async fn a_group_is_moved_to_the_beginning_the_end_a_position_and_a_time(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a", "b"]).await;
    let then = after_now().await;
    bench.publish(&topic, &["c", "d"]).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(4).await;
    let positions = hand.got.receipts().positions().to_vec();
    hand.all_done(0).settle().await;
    hand.close().await;
    for (to, expected, first) in [
        (SeekTo::Beginning, &["a", "b", "c", "d"][..], 0),
        (SeekTo::Position(positions[1]), &["b", "c", "d"], 1),
        (SeekTo::Time(then), &["c", "d"], 2),
    ] {
        let position = groups(&bench).seek("g", &topic, to).await.expect("moved").expect("the group is there");
        assert!(position < positions[first], "{to:?} leads to {position}, which is not below {}", positions[first]);
        assert_eq!(read(&bench, &topic, expected.len()).await, expected, "{to:?}");
    }
    groups(&bench).seek("g", &topic, SeekTo::End).await.expect("moved").expect("there");
    bench.publish(&topic, &["e"]).await;
    assert_eq!(read(&bench, &topic, 1).await, ["e"]);
    assert_eq!(groups(&bench).seek("nobody", &topic, SeekTo::End).await.expect("asked"), None);
    assert_eq!(groups(&bench).seek("g", &bench.topic("none"), SeekTo::End).await.expect("asked"), None);
}

async fn a_group_that_moves_loses_its_retries(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a"]).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(1).await;
    hand.again(0, Duration::ZERO, 2, 1).settle().await;
    hand.close().await;
    groups(&bench).seek("g", &topic, SeekTo::End).await.expect("moved").expect("there");
    bench.publish(&topic, &["b"]).await;
    assert_eq!(read(&bench, &topic, 1).await, ["b"]);
}

async fn a_group_in_use_is_not_moved(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let hand = bench.hand(&topic, "g").await;
    let error = groups(&bench).seek("g", &topic, SeekTo::Beginning).await.expect_err("it is in use");
    assert!(error.fix == Fix::GiveUp && error.what.contains("\"g\""), "{error:?}");
    hand.close().await;
    groups(&bench).seek("g", &topic, SeekTo::Beginning).await.expect("it is free").expect("there");
}

async fn browsing_moves_nobody(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a", "b", "c"]).await;
    let page = bench.topics().browse(&topic, Page::After(0, 2)).await.expect("browsed");
    assert_eq!((page.len(), page.get(0).payload), (2, Some(&b"a"[..])));
    let rest = bench.topics().browse(&topic, Page::After(page.receipt(1).position, 10)).await.expect("browsed");
    assert_eq!((rest.len(), rest.get(0).payload), (1, Some(&b"c"[..])));
    assert_eq!(read(&bench, &topic, 3).await, ["a", "b", "c"]);
}

async fn waiting_for_messages_ends_when_there_are_some(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let wait = bench.topics().wait_for(&topic, 0);
    let publish = async {
        tokio::task::yield_now().await;
        bench.publish(&topic, &["a"]).await;
    };
    let (waited, ()) = futures::join!(tokio::time::timeout(SOON, wait), publish);
    waited.expect("it ends").expect("without an error");
    let after = bench.topics().browse(&topic, Page::After(0, 1)).await.expect("browsed").receipt(0).position;
    let more = bench.topics().wait_for(&topic, after);
    let early = tokio::time::timeout(Duration::from_millis(50), more).await;
    assert!(early.is_err(), "there is nothing after the last message");
}
