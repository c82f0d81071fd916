//! Flag `patterns`: one subscription, many topics, also later ones.

use std::collections::BTreeSet;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use longshore_core::{Flag, Lanes, Room};

use super::bench::next;
use super::{Bench, Hand, Test, suite};

pub(super) const TESTS: &[Test] = suite!(Flag::Patterns =>
    a_pattern_means_topics_that_are_there_and_those_that_come,
    a_star_means_one_level,
);

async fn a_pattern_means_topics_that_are_there_and_those_that_come(bench: Bench<'_>) {
    let (early, late) = (bench.shared_topic("p.early").await, bench.shared_topic("p.late").await);
    let foreign = bench.shared_topic("q.late").await;
    let waits = bench.publish_early(&early, "a").await;
    let mut lanes = bench.subscribe_shared(&[&bench.topic("p.**")], bench.group("g")).await;
    if !waits {
        bench.publish(&early, &["a"]).await;
    }
    let mut hands = Vec::new();
    assert_eq!(bring(&mut lanes, &mut hands).await, (early, "a".into()));
    bench.publish_early(&foreign, "x").await;
    bench.publish(&late, &["b"]).await;
    assert_eq!(bring(&mut lanes, &mut hands).await, (late, "b".into()));
    let ids: BTreeSet<&str> = hands.iter().map(|hand| hand.lane.id.as_str()).collect();
    assert_eq!(ids.len(), hands.len(), "a lane has an id of its own");
}

async fn a_star_means_one_level(bench: Bench<'_>) {
    let (one, two, fence) = (bench.shared_topic("p.one").await, bench.shared_topic("p.one.two").await, bench.shared_topic("p.three").await);
    bench.publish_early(&two, "deeper").await;
    let waits = bench.publish_early(&one, "a").await;
    let mut lanes = bench.subscribe_shared(&[&bench.topic("p.*")], bench.group("g")).await;
    bench.publish_early(&two, "deeper").await;
    if !waits {
        bench.publish(&one, &["a"]).await;
    }
    let mut hands = Vec::new();
    assert_eq!(bring(&mut lanes, &mut hands).await.0, one);
    bench.publish(&fence, &["b"]).await;
    assert_eq!(bring(&mut lanes, &mut hands).await.0, fence, "the deeper topic is not meant");
}

/// The next message, as topic and payload: from a lane that is there, or from a new one. A lane may bring one topic or all of them.
async fn bring(lanes: &mut Lanes, hands: &mut Vec<Hand>) -> (String, String) {
    let one = Room { messages: 1, bytes: 1 << 20 };
    loop {
        let fetches = hands.iter_mut().map(|hand| {
            Box::pin(async move {
                let at = hand.fetch_some(one).await;
                let message = hand.got.get(at);
                (message.topic.to_owned(), String::from_utf8_lossy(message.payload.unwrap_or_default()).into_owned())
            })
        });
        let mut fetches: FuturesUnordered<_> = fetches.collect();
        let lane = tokio::select! {
            Some(message) = fetches.next() => return message,
            lane = next(lanes) => lane,
        };
        drop(fetches);
        hands.push(Hand::new(lane, None));
    }
}
