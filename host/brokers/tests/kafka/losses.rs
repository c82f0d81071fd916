//! The losses of the field, by name. That a failed handler has published nothing is the engine's: an adapter publishes what it is told.

use std::time::Duration;

use longshore_core::Clock;
use longshore_testkit::servers::{self, Kafka, KafkaOptions, unique};

use super::support::{connect_to, hand, lane, subscribe, wish};
use crate::work::publish;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_after_a_failure_does_not_commit_past_it() {
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    publish(&roles, &topic, &["a", "b", "c"]).await.expect("published");
    let mut first = hand(&roles, wish(&topic, "g")).await;
    first.fetch(3).await;
    first.done(1).done(2).settle().await;
    // It dies: nothing is given back.
    drop((first, roles));
    let roles = connect_to(kafka).await;
    let mut next = hand(&roles, wish(&topic, "g")).await;
    next.fetch(1).await;
    assert_eq!((next.payloads(), next.got.facts(0).unanswered), (vec!["a".into()], 1));
    next.done(0).settle().await;
    publish(&roles, &topic, &["d"]).await.expect("published");
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["a", "d"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_ack_after_revocation_does_nothing() {
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    publish(&roles, &topic, &["a"]).await.expect("published");
    let mut lanes = subscribe(&roles, wish(&topic, "g")).await.expect("subscribed");
    let mut first = lane(&mut lanes).await;
    first.fetch(1).await;
    // Its retries are removed: the lane is taken away, and given anew.
    first.again(0, Duration::from_secs(3600), 2, 1).settle().await;
    publish(&roles, &topic, &["b"]).await.expect("published");
    let second = first.fetch(1).await;
    roles.topics.as_ref().expect("it has topics").purge(&topic).await.expect("purged");
    publish(&roles, &topic, &["c"]).await.expect("published");
    tokio::time::timeout(Duration::from_secs(10), &mut first.lane.revoked).await.expect("the lane is revoked");
    let mut next = lane(&mut lanes).await;
    first.done(second).settle().await;
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["c"]);
    next.close().await;
    drop((first, lanes));
    let mut last = hand(&roles, wish(&topic, "g")).await;
    last.fetch(1).await;
    assert_eq!(last.payloads(), ["c"], "nobody has settled it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_count_and_due_time_survive_kill_9() {
    let Some(kafka) = Kafka::start(&KafkaOptions::default()) else { return };
    let roles = connect_to(&kafka).await;
    publish(&roles, "t", &["a"]).await.expect("published");
    let mut first = hand(&roles, wish("t", "g")).await;
    first.fetch(1).await;
    let before = Clock::system().now();
    first.again(0, Duration::from_secs(7), 4, 77).settle().await;
    // At once: nothing of it is committed, and the message stands before its copy.
    tokio::task::block_in_place(|| kafka.server.restart());
    drop((first, roles));
    let roles = connect_to(&kafka).await;
    let mut next = hand(&roles, wish("t", "g")).await;
    next.fetch(1).await;
    let waited = Clock::system().now() - before;
    assert!(waited >= 7_000, "it was to wait 7 s and came after {waited} ms");
    assert_eq!((next.payloads(), next.got.get(0).attempt, next.got.facts(0).first_failed_at), (vec!["a".into()], 4, 77));
    next.done(0).settle().await;
    publish(&roles, "t", &["b"]).await.expect("published");
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["a", "b"], "it came once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_metadata_beside_the_offset_is_ignored() {
    use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", kafka.address()).set("group.id", "g");
    let foreign: BaseConsumer = config.create().expect("a consumer");
    let mut list = rdkafka::TopicPartitionList::new();
    let mut entry = list.add_partition(&topic, 0);
    entry.set_offset(rdkafka::Offset::Offset(1)).expect("an offset");
    entry.set_metadata("L1.somebody else's");
    foreign.commit(&list, CommitMode::Sync).expect("committed");
    tokio::task::block_in_place(|| drop(foreign));
    let mut next = hand(&roles, wish(&topic, "g")).await;
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["b"]);
}
