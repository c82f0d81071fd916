//! Flag `stream-partitioning`: equal keys share a partition, and partitions are lanes.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use longshore_core::{Flag, Outbox};

use super::bench::{SOON, push};
use super::{Bench, Hand, Test, suite};

pub(super) const TESTS: &[Test] = suite!(Flag::StreamPartitioning => equal_keys_share_a_partition);

async fn equal_keys_share_a_partition(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let mut outbox = Outbox::default();
    let keys: Vec<String> = (0..40).map(|i| format!("k{}", i % 10)).collect();
    keys.iter().for_each(|key| push(&mut outbox, &topic, Some(key), key, 0));
    bench.publish_all(&outbox).await.into_iter().for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
    let mut lanes = bench.subscribe(&[&topic], Some("g")).await;
    let (mut hands, mut seen): (Vec<Hand>, BTreeMap<String, BTreeSet<Option<u32>>>) = (Vec::new(), BTreeMap::new());
    let all = async {
        let mut count = 0;
        while count < keys.len() {
            if let Ok(Some(lane)) = tokio::time::timeout(std::time::Duration::from_secs(1), lanes.next()).await {
                hands.push(Hand::new(lane.expect("a lane"), None));
            }
            for hand in &mut hands {
                let fetch = hand.fetch_some(longshore_core::Room { messages: 100, bytes: 1 << 20 });
                let Ok(first) = tokio::time::timeout(std::time::Duration::from_millis(500), fetch).await else { continue };
                let payloads = hand.payloads_from(first);
                count += payloads.len();
                payloads.into_iter().for_each(|key| {
                    seen.entry(key).or_default().insert(hand.lane.partition);
                });
            }
        }
    };
    tokio::time::timeout(SOON, all).await.expect("all come soon");
    assert!(seen.values().all(|partitions| partitions.len() == 1), "{seen:?}");
    assert!(hands.iter().all(|hand| hand.lane.partition.is_some()), "a lane is a partition");
}
