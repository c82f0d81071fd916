//! Partitions: who has which, where keys go, and that a slow one stops no other.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_core::{Page, Start, Subscribe};
use longshore_testkit::conformance::Hand;
use longshore_testkit::servers::{self, unique};
use tokio::time::Instant;

use super::support::{alone, connect_to, lane, make, publish_keyed, subscribe, wish};

/// Partitions that Java's clients choose of 12: murmur2 of the key, positive, modulo.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_go_where_javas_clients_send_them() {
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    make(&roles, &topic, 12).await;
    // From `UtilsTest.testMurmur2` of Kafka's clients, as hashes.
    let hashes: [(&str, i32); 6] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ];
    let keys = hashes.map(|(key, _)| key);
    let ids = publish_keyed(&roles, &topic, &keys).await;
    for ((key, hash), id) in hashes.into_iter().zip(ids) {
        let expected = (hash & 0x7fff_ffff) % 12;
        assert!(id.starts_with(&format!("{topic}/{expected}/")), "{key} is {id}, not in {expected}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_nobody_reads_stops_no_other_and_is_not_lost() {
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    make(&roles, &topic, 3).await;
    let mut lanes = subscribe(&roles, Subscribe { max_in_flight: 10, ..alone(&topic) }).await.expect("subscribed");
    let mut hands: BTreeMap<u32, Hand> = BTreeMap::new();
    while hands.len() < 3 {
        let hand = lane(&mut lanes).await;
        hands.insert(hand.lane.partition.expect("a partition"), hand);
    }
    let keys: Vec<String> = (0..600).map(|i| format!("k{i}")).collect();
    let ids = publish_keyed(&roles, &topic, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut counts = [0usize; 3];
    ids.iter().for_each(|id| counts[id.split('/').nth(1).and_then(|p| p.parse::<usize>().ok()).expect("an id")] += 1);
    for (partition, hand) in &mut hands {
        if *partition > 0 {
            let first = hand.fetch(counts[*partition as usize]).await;
            hand.all_done(first).settle().await;
        }
    }
    let slow = hands.get_mut(&0).expect("it is there");
    let first = slow.fetch(counts[0]).await;
    slow.all_done(first).settle().await;
    await_lag(&roles, &topic, 0).await;
}

/// Waits until that is left by what is committed: of a lane that was taken away nothing is.
async fn await_lag(roles: &longshore_core::Roles, topic: &str, left: usize) {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let groups = roles.groups.as_ref().expect("groups").list().await.expect("told");
        let lag = groups.iter().find(|group| group.topic == topic).and_then(|group| group.lag);
        if lag == Some(left as u64) {
            return;
        }
        assert!(Instant::now() < until, "the lag is {lag:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_divided_among_hosts_and_only_those_that_move_are_taken() {
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    make(&roles, &topic, 2).await;
    let mut first = subscribe(&roles, alone(&topic)).await.expect("subscribed");
    let mut mine = [lane(&mut first).await, lane(&mut first).await];
    publish_keyed(&roles, &topic, &["a", "b", "c", "d", "e", "f", "g", "h"]).await;
    for hand in &mut mine {
        hand.fetch(1).await;
    }
    let other = connect_to(kafka).await;
    let mut second = subscribe(&other, alone(&topic)).await.expect("subscribed");
    let [one, two] = mine;
    let (mut one, mut two) = (one, two);
    let (kept, gone) = tokio::select! {
        () = &mut one.lane.revoked => (two, one),
        () = &mut two.lane.revoked => (one, two),
    };
    let partition = gone.lane.partition;
    let open = gone.payloads();
    gone.close().await;
    let mut theirs = lane(&mut second).await;
    assert_eq!(theirs.lane.partition, partition);
    theirs.fetch(open.len()).await;
    assert_eq!(theirs.payloads()[..open.len()], open, "what was given back comes to the next owner");
    theirs.all_done(0).settle().await;
    let mut kept = kept;
    // The other stays: what it settles now is committed.
    kept.all_done(0).settle().await;
    await_lag(&roles, &topic, 8 - theirs.got.len() - kept.got.len()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_goes_through_all_partitions_both_ways() {
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    make(&roles, &topic, 3).await;
    let keys: Vec<String> = (0..20).map(|i| format!("k{i}")).collect();
    publish_keyed(&roles, &topic, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let topics = roles.topics.as_ref().expect("topics");
    let (mut up, mut at) = (Vec::new(), 0);
    loop {
        let page = topics.browse(&topic, Page::After(at, 7)).await.expect("browsed");
        let Some(last) = page.receipts().positions().last() else { break };
        at = *last;
        up.extend_from_slice(page.receipts().positions());
    }
    let (mut down, mut at) = (Vec::new(), u64::MAX);
    loop {
        let page = topics.browse(&topic, Page::Before(at, 7)).await.expect("browsed");
        let Some(last) = page.receipts().positions().last() else { break };
        at = *last;
        down.extend_from_slice(page.receipts().positions());
    }
    down.reverse();
    assert_eq!((up.len(), up.is_sorted()), (20, true));
    assert_eq!(up, down);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_begins_at_an_offset() {
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    crate::work::publish(&roles, &topic, &["a", "b", "c"]).await.expect("published");
    let mut lanes = subscribe(&roles, Subscribe { start: Start::Position("2".into()), ..alone(&topic) }).await.expect("subscribed");
    let mut hand = lane(&mut lanes).await;
    hand.fetch(1).await;
    assert_eq!(hand.payloads(), ["c"]);
    let other = unique("other");
    let refused = subscribe(&roles, Subscribe { start: Start::None, ..wish(&topic, &other) }).await;
    let error = match refused {
        Err(error) => error,
        Ok(mut lanes) => futures::StreamExt::next(&mut lanes).await.expect("an answer").err().expect("no lane"),
    };
    assert!(error.what.contains(&other) && error.what.contains("no position"), "{error}");
}
