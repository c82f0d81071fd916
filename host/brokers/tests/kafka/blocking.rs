//! `retry-mode = "block"`: what fails waits in its place, and holds its partition.

use std::time::Duration;

use longshore_core::{Clock, OwnKeys, Roles, Subscribe};
use longshore_testkit::servers::{self, unique};
use rdkafka::consumer::Consumer as _;
use serde_json::{Value, json};

use super::another::{self, Another};
use super::support::{alone, config, connect, connect_to, hand};
use crate::work::publish;

fn blocking(topic: &str) -> Subscribe {
    let Value::Object(own) = json!({ "retry-mode": "block" }) else { panic!("a table") };
    Subscribe { own: OwnKeys::new(own), ..alone(topic) }
}

async fn lag(roles: &Roles, topic: &str) -> Option<u64> {
    let groups = roles.groups.as_ref().expect("groups").list().await.expect("told");
    groups.iter().find(|group| group.topic == topic).and_then(|group| group.lag)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_in_place_holds_its_partition_and_needs_no_topic() {
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    publish(&roles, &topic, &["a", "b", "c"]).await.expect("published");
    let mut hand = hand(&roles, blocking(&topic)).await;
    hand.fetch(2).await;
    let before = Clock::system().now();
    hand.done(1).again(0, Duration::from_secs(2), 2, 7).settle().await;
    let again = hand.fetch(1).await;
    let waited = Clock::system().now() - before;
    assert!(waited >= 2_000, "it was to wait 2 s and came after {waited} ms");
    let (message, facts) = (hand.got.get(again), hand.got.facts(again));
    assert_eq!((message.payload, message.attempt, facts.first_failed_at), (Some(b"a".as_slice()), 2, 7), "and not what stands behind it");
    // Again, at once.
    hand.again(again, Duration::ZERO, 3, 7).settle().await;
    let again = hand.fetch(1).await;
    assert_eq!((hand.payloads_from(again), hand.got.get(again).attempt), (vec!["a".into()], 3));
    hand.done(again).settle().await;
    let last = hand.fetch(1).await;
    assert_eq!(hand.payloads_from(last), ["c"]);
    hand.done(last).settle().await;
    assert_eq!(lag(&roles, &topic).await, Some(0));
    let mut client = rdkafka::ClientConfig::new();
    client.set("bootstrap.servers", kafka.address());
    let client: rdkafka::consumer::BaseConsumer = client.create().expect("a consumer");
    let retries = format!("{topic}.");
    let metadata = tokio::task::block_in_place(|| client.fetch_metadata(None, Duration::from_secs(9))).expect("told");
    assert!(!metadata.topics().iter().any(|found| found.name().starts_with(&retries)), "a topic was made for it");
}

/// The host that the test below kills.
async fn be_killed(told: &str) {
    let (address, topic) = told.split_once(' ').expect("address and topic");
    let roles = connect(config(address), Vec::new()).await.expect("the server is there");
    let mut hand = hand(&roles, blocking(topic)).await;
    hand.fetch(1).await;
    let before = Clock::system().now();
    hand.again(0, Duration::from_secs(9), 4, 77).settle().await;
    println!("\nsettled after {before}");
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempt_and_due_time_of_a_retry_in_place_outlive_its_host() {
    if let Some(told) = another::told() {
        return be_killed(&told).await;
    }
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    let name = "kafka::blocking::attempt_and_due_time_of_a_retry_in_place_outlive_its_host";
    let first = Another::start(name, &format!("{} {topic}", kafka.address()));
    let before: u64 = first.says("settled after ").parse().expect("a time");
    first.kill();
    let mut next = hand(&roles, blocking(&topic)).await;
    let at = next.fetch(1).await;
    let waited = Clock::system().now() - before;
    assert!(waited >= 9_000, "it was to wait 9 s and came after {waited} ms");
    assert_eq!((next.payloads(), next.got.get(at).attempt, next.got.facts(at).first_failed_at), (vec!["a".into()], 4, 77));
    next.done(at).settle().await;
    let last = next.fetch(1).await;
    assert_eq!((next.payloads_from(last), next.got.get(last).attempt), (vec!["b".into()], 1));
    next.done(last).settle().await;
    assert_eq!(lag(&roles, &topic).await, Some(0));
}
