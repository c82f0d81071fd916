//! The losses of the field, by name. That a failed handler has published nothing is the engine's: an adapter publishes what it is told.

use std::time::Duration;

use longshore_core::{Clock, Page};
use longshore_testkit::servers::{self, Kafka, KafkaOptions, unique};
use tokio::time::{Instant, timeout};

use super::another::{self, Another};
use super::support::{alone, config, connect, connect_to, hand, lane, make, subscribe, wish};
use crate::work::publish;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_after_a_failure_does_not_commit_past_it() {
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    publish(&roles, &topic, &["a", "b", "c"]).await.expect("published");
    let mut first = hand(&roles, alone(&topic)).await;
    first.fetch(3).await;
    first.done(1).done(2).settle().await;
    // It dies: nothing is given back.
    drop((first, roles));
    let roles = connect_to(kafka).await;
    let mut next = hand(&roles, alone(&topic)).await;
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
    let mut lanes = subscribe(&roles, alone(&topic)).await.expect("subscribed");
    let mut first = lane(&mut lanes).await;
    first.fetch(1).await;
    // Its retries are removed: the lane is taken away, and given anew.
    first.again(0, Duration::from_secs(3600), 2, 1).settle().await;
    publish(&roles, &topic, &["b"]).await.expect("published");
    let second = first.fetch(1).await;
    roles.topics.as_ref().expect("it has topics").purge(&topic).await.expect("purged");
    publish(&roles, &topic, &["c"]).await.expect("published");
    timeout(Duration::from_secs(10), &mut first.lane.revoked).await.expect("the lane is revoked");
    let mut next = lane(&mut lanes).await;
    first.done(second).settle().await;
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["c"]);
    next.close().await;
    drop((first, lanes));
    let mut last = hand(&roles, alone(&topic)).await;
    last.fetch(1).await;
    assert_eq!(last.payloads(), ["c"], "nobody has settled it");
}

/// How long the retry waits: longer than the server takes to come back and the group to give up the host.
const DELAY: Duration = Duration::from_secs(25);

/// The host that the test below kills.
async fn be_killed(address: &str) {
    let roles = connect(config(address), Vec::new()).await.expect("the server is there");
    let mut hand = hand(&roles, wish("t", "g")).await;
    hand.fetch(1).await;
    let before = Clock::system().now();
    hand.again(0, DELAY, 4, 77).settle().await;
    println!("\nsettled after {before}");
    std::future::pending::<()>().await;
}

/// Host and server: at once, so nothing of the settlement is committed, and the message stands before its copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_count_and_due_time_survive_kill_9() {
    if let Some(address) = another::told() {
        return be_killed(&address).await;
    }
    let Some(kafka) = Kafka::start(&KafkaOptions::default()) else { return };
    let roles = connect_to(&kafka).await;
    publish(&roles, "t", &["a"]).await.expect("published");
    let first = Another::start("kafka::losses::retry_count_and_due_time_survive_kill_9", &kafka.address());
    let before: u64 = first.says("settled after ").parse().expect("a time");
    tokio::task::block_in_place(|| {
        first.kill();
        kafka.server.restart();
    });
    let mut next = hand(&roles, wish("t", "g")).await;
    // A fetch waits for less than that.
    let came = async { while timeout(DELAY / 5, next.fetch(1)).await.is_err() {} };
    timeout(DELAY * 3, came).await.expect("it comes");
    let waited = Duration::from_millis(Clock::system().now() - before);
    assert!(waited >= DELAY, "it was to wait {DELAY:?} and came after {waited:?}");
    assert_eq!((next.payloads(), next.got.get(0).attempt, next.got.facts(0).first_failed_at), (vec!["a".into()], 4, 77));
    next.done(0).settle().await;
    publish(&roles, "t", &["b"]).await.expect("published");
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["a", "b"], "it came once");
}

/// Somebody deletes the topic and makes it anew, and leaves its retries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_made_anew_loses_nothing_at_the_places_of_retries_that_wait() {
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    let mut first = hand(&roles, alone(&topic)).await;
    first.fetch(2).await;
    first.again(0, Duration::from_secs(8), 2, 1).done(1).settle().await;
    first.close().await;
    drop(roles);
    let mut client = rdkafka::ClientConfig::new();
    client.set("bootstrap.servers", kafka.address());
    let admin: rdkafka::admin::AdminClient<rdkafka::client::DefaultClientContext> = client.create().expect("a client");
    let deleted = admin.delete_topics(&[&topic], &rdkafka::admin::AdminOptions::new()).await.expect("it answers");
    deleted.into_iter().for_each(|one| drop(one.expect("deleted")));
    let roles = connect_to(kafka).await;
    let groups = roles.groups.as_ref().expect("groups");
    until(async || groups.list().await.expect("told").iter().all(|group| group.topic != topic)).await;
    publish(&roles, &topic, &["x", "y"]).await.expect("published");
    let mut next = hand(&roles, alone(&topic)).await;
    next.fetch(3).await;
    let mut payloads = next.payloads();
    payloads.sort();
    assert_eq!(payloads, ["a", "x", "y"], "what is new, and the retry of what was before");
    next.all_done(0).settle().await;
    next.close().await;
    publish(&roles, &topic, &["fence"]).await.expect("published");
    let mut last = hand(&roles, alone(&topic)).await;
    last.fetch(1).await;
    assert_eq!(last.payloads(), ["fence"]);
}

/// Brokers forget what a group committed of topics that it does not subscribe to. A group without members is how the test knows that they do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_finished_of_retries_and_dead_letters_outlives_the_brokers_memory() {
    let options = KafkaOptions::default().set("offsets.retention.minutes", "1").set("offsets.retention.check.interval.ms", "1000");
    let Some(kafka) = Kafka::start(&options) else { return };
    let roles = connect_to(&kafka).await;
    let ids = publish(&roles, "dead", &["p", "q"]).await.expect("published");
    assert_eq!(ids.len(), 2);
    let page = roles.topics.as_ref().expect("topics").browse("dead", Page::After(0, 9)).await.expect("browsed");
    let letters = roles.dead_letters.as_ref().expect("letters");
    assert_eq!(letters.remove("dead", &[page.receipt(1).position]).await.expect("removed"), 1);
    publish(&roles, "t", &["a"]).await.expect("published");
    let mut first = hand(&roles, wish("t", "g")).await;
    first.fetch(1).await;
    first.again(0, Duration::ZERO, 2, 1).settle().await;
    let again = first.fetch(1).await;
    first.done(again).settle().await;
    let groups = roles.groups.as_ref().expect("groups");
    let of = async |group: &str| groups.list().await.expect("told").into_iter().find(|found| found.group == group);
    until(async || of("g").await.is_some_and(|group| group.lag == Some(0) && group.retries == 0)).await;
    // Committed after all that.
    let mut stranger = rdkafka::ClientConfig::new();
    stranger.set("bootstrap.servers", kafka.address()).set("group.id", "stranger");
    let stranger: rdkafka::consumer::BaseConsumer = stranger.create().expect("a consumer");
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset("t", 0, rdkafka::Offset::Offset(1)).expect("an offset");
    rdkafka::consumer::Consumer::commit(&stranger, &list, rdkafka::consumer::CommitMode::Sync).expect("committed");
    assert!(of("stranger").await.is_some());
    let patience = Instant::now() + Duration::from_secs(180);
    while of("stranger").await.is_some() {
        assert!(Instant::now() < patience, "the brokers forget nothing");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(of("g").await.map(|group| (group.lag, group.retries)), Some((Some(0), 0)), "a retry that is finished waits again");
    let page = roles.topics.as_ref().expect("topics").browse("dead", Page::After(0, 9)).await.expect("browsed");
    assert_eq!(page.len(), 1, "a letter that was removed is back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_topic_that_somebody_makes_again_ends_with_words() {
    let Some(kafka) = servers::kafka() else { return };
    let mut quick = config(&kafka.address());
    quick["request-timeout"] = "1s".into();
    let (roles, other, topic) = (connect(quick, Vec::new()).await.expect("there"), connect_to(kafka).await, unique("t"));
    let again = async {
        loop {
            make(&other, &topic, 1).await;
        }
    };
    let delete = async {
        let topics = roles.topics.as_ref().expect("topics");
        until(async || match timeout(Duration::from_secs(10), topics.delete(&topic)).await.expect("it ends") {
            Err(error) => error.what.contains("there again"),
            Ok(_) => false,
        })
        .await;
    };
    tokio::select! {
        () = delete => {}
        () = again => {}
    }
}

/// Waits until it is so.
async fn until(mut what: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !what().await {
        assert!(Instant::now() < until, "it does not become so");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_metadata_beside_the_offset_is_ignored() {
    use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", kafka.address()).set("group.id", &topic);
    let foreign: BaseConsumer = config.create().expect("a consumer");
    let mut list = rdkafka::TopicPartitionList::new();
    let mut entry = list.add_partition(&topic, 0);
    entry.set_offset(rdkafka::Offset::Offset(1)).expect("an offset");
    entry.set_metadata("L1.somebody else's");
    foreign.commit(&list, CommitMode::Sync).expect("committed");
    tokio::task::block_in_place(|| drop(foreign));
    let mut next = hand(&roles, alone(&topic)).await;
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["b"]);
}
