//! Flags `subscribe`, `message-ordering` and `blocking-read`: how messages come.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use longshore_core::{Batch, Flag, Room, Start, Subscribe};

use super::bench::{SOON, next, wish};
use super::{Bench, Hand, Test, suite};

pub(super) const FIRST: &[Test] = suite!(Flag::Subscribe, not of Forgetful => messages_wait_for_the_first_subscriber);
pub(super) const START: &[Test] = suite!(Flag::Subscribe, not of Queue => a_start_at_the_end_sees_only_what_comes_later);
pub(super) const SUBSCRIBE: &[Test] = suite!(Flag::Subscribe =>
    a_fetch_keeps_to_its_room,
    a_message_larger_than_the_room_comes_alone,
    a_dropped_fetch_loses_nothing,
);
pub(super) const ORDER: &[Test] = suite!(Flag::MessageOrdering => a_lane_brings_messages_in_the_order_of_publishing);
pub(super) const BLOCKING: &[Test] = suite!(Flag::BlockingRead => a_fetch_that_waits_is_woken_and_does_not_poll);

async fn messages_wait_for_the_first_subscriber(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a", "b"]).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(2).await;
    assert_eq!(hand.payloads(), ["a", "b"]);
}

async fn a_start_at_the_end_sees_only_what_comes_later(bench: Bench<'_>) {
    let topic = bench.shared_topic("t").await;
    bench.publish_early(&topic, "old").await;
    let own = bench.subject.shared().subscription;
    let subscribe = Subscribe { start: Start::Latest, own, ..wish(&[&topic], bench.group("g")) };
    let mut lanes = bench.try_subscribe(&subscribe).await.expect("subscribed");
    bench.publish(&topic, &["new"]).await;
    let mut hand = Hand::new(next(&mut lanes).await, Some(lanes));
    hand.fetch(1).await;
    assert_eq!(hand.payloads(), ["new"]);
}

async fn a_fetch_keeps_to_its_room(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let payload = "x".repeat(1000);
    let (mut hand, _) = bench.hand_with(&topic, &[&*payload; 10]).await;
    while hand.got.len() < 10 {
        let room = Room { messages: 3, bytes: 2500 };
        let first = hand.fetch_some(room).await;
        let bytes: usize = (first..hand.got.len()).map(|i| hand.got.row(i).size()).sum();
        assert!(hand.got.len() - first <= 3 && bytes <= 2500, "{} messages of {bytes} bytes", hand.got.len() - first);
    }
}

async fn a_message_larger_than_the_room_comes_alone(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let large = "x".repeat(10_000);
    let (mut hand, _) = bench.hand_with(&topic, &["a", &large, "b"]).await;
    while hand.got.len() < 3 {
        let first = hand.fetch_some(Room { messages: 10, bytes: 1000 }).await;
        let got = hand.payloads_from(first);
        assert!(got.len() == 1 || !got.contains(&large), "it came with {} others", got.len() - 1);
    }
    assert_eq!(hand.payloads(), ["a", &large, "b"]);
}

async fn a_dropped_fetch_loses_nothing(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let mut hand = bench.hand(&topic, "g").await;
    let payloads: Vec<String> = (0..200).map(|i| i.to_string()).collect();
    for payload in &payloads {
        bench.publish(&topic, &[payload]).await;
        // Dropped at its first wait, whatever it had begun; and now and then a little later.
        let mut batch = Batch::default();
        let room = Room { messages: 1, bytes: 1 << 20 };
        {
            let mut fetch = pin!(hand.lane.source.fetch(room, &mut batch));
            let mut polls = payload.len() + hand.got.len() % 3;
            poll_fn(|context| {
                polls -= 1;
                let done = fetch.as_mut().poll(context).is_ready() || polls == 0;
                if !done {
                    context.waker().wake_by_ref();
                }
                if done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
            })
            .await;
        }
        hand.take(&batch);
    }
    let rest = payloads.len() - hand.got.len();
    hand.fetch(rest).await;
    assert_eq!(hand.payloads(), payloads);
}

async fn a_lane_brings_messages_in_the_order_of_publishing(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let payloads: Vec<String> = (0..3000).map(|i| i.to_string()).collect();
    let subscribe = Subscribe { max_in_flight: payloads.len(), ..wish(&[&topic], bench.group("g")) };
    let mut lanes = bench.try_subscribe(&subscribe).await.expect("subscribed");
    let mut hand = Hand::new(next(&mut lanes).await, Some(lanes));
    // A batch that no client takes in one go, and many small ones.
    let (large, small) = payloads.split_at(2000);
    let all = async {
        for chunk in std::iter::once(large).chain(small.chunks(7)) {
            bench.publish(&topic, &chunk.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
    };
    futures::join!(all, hand.fetch(payloads.len()));
    assert_eq!(hand.payloads(), payloads);
    assert!(hand.got.receipts().positions().is_sorted(), "positions ascend");
}

async fn a_fetch_that_waits_is_woken_and_does_not_poll(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let mut hand = bench.hand(&topic, "g").await;
    let (mut batch, polls) = (Batch::default(), AtomicU32::new(0));
    {
        let mut fetch = pin!(hand.lane.source.fetch(Room { messages: 10, bytes: 1 << 20 }, &mut batch));
        let mut counted = pin!(poll_fn(|context| {
            polls.fetch_add(1, Ordering::Relaxed);
            fetch.as_mut().poll(context)
        }));
        let idle = tokio::time::timeout(Duration::from_millis(300), counted.as_mut()).await;
        assert!(idle.is_err(), "there was nothing to bring");
        let polls = polls.load(Ordering::Relaxed);
        assert!(polls < 6, "it was polled {polls} times while nothing happened");
        let publish = bench.publish(&topic, &["a"]);
        let (fetched, _) = futures::join!(tokio::time::timeout(SOON, counted), publish);
        fetched.expect("it is woken").expect("a fetch works");
    }
    hand.take(&batch);
    assert_eq!(hand.payloads(), ["a"]);
}
