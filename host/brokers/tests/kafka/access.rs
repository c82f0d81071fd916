//! Getting in: users, TLS, and what is said where it fails.

use std::time::Duration;

use longshore_core::{BrokerError, Fix};
use longshore_testkit::servers::tls::Authority;
use longshore_testkit::servers::{self, Kafka, KafkaOptions};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::support::{alone, connect, hand, make, subscribe};
use crate::work::publish;

/// Connecting fails soon, for good, and says these words.
async fn refused(config: Value, words: &[&str]) {
    let began = Instant::now();
    let error: BrokerError = connect(config, Vec::new()).await.err().expect("it is refused");
    assert!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
    assert_eq!(error.fix, Fix::GiveUp, "{error}");
    words.iter().for_each(|word| assert!(error.what.contains(word), "{error}"));
    assert!(!error.what.contains("hunter2") && !error.what.contains("wrong"), "no password is told: {error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_and_certificates_let_in_and_wrong_ones_do_not() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let options = KafkaOptions::default().tls(&ours).user("me", "hunter2");
    let Some(kafka) = Kafka::start(&options) else { return };
    let sasl = |protocol: &str, mechanism: &str, password: &str| json!({ "protocol": protocol, "mechanism": mechanism, "username": "me", "password": password });
    let plain = format!("127.0.0.1:{}", kafka.sasl_port());
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let config = json!({ "bootstrap-servers": plain, "security": sasl("SASL_PLAINTEXT", mechanism, "hunter2") });
        let roles = connect(config, Vec::new()).await.expect("the right password");
        publish(&roles, mechanism, &["a"]).await.expect("published");
        let config = json!({ "bootstrap-servers": plain, "security": sasl("SASL_PLAINTEXT", mechanism, "wrong") });
        refused(config, &["security", "password"]).await;
    }
    let (tls, both) = (format!("localhost:{}", kafka.tls_port()), format!("localhost:{}", kafka.sasl_tls_port()));
    let trusting = |authority: &Authority| json!({ "ca": authority.certificate() });
    let config = json!({ "bootstrap-servers": tls, "security": { "protocol": "SSL" }, "tls": trusting(&ours) });
    let roles = connect(config, Vec::new()).await.expect("it is trusted");
    publish(&roles, "t", &["a"]).await.expect("published");
    let config = json!({ "bootstrap-servers": both, "security": sasl("SASL_SSL", "PLAIN", "hunter2"), "tls": trusting(&ours) });
    connect(config, Vec::new()).await.expect("both").connection.ping().await.expect("it answers");
    let config = json!({ "bootstrap-servers": tls, "security": { "protocol": "SSL" }, "tls": trusting(&theirs) });
    refused(config, &["tls.ca"]).await;
}

#[tokio::test]
async fn nobody_there_is_an_error_that_passes() {
    let address = format!("127.0.0.1:{}", servers::free_port());
    let config = json!({ "bootstrap-servers": address, "connect-timeout": "2s" });
    let error = connect(config, Vec::new()).await.err().expect("nobody is there");
    assert!(error.fix == Fix::Reconnect && error.what.contains(&address), "{error}");
}

#[tokio::test]
async fn a_property_that_is_none_is_told() {
    let config = json!({ "bootstrap-servers": "localhost:9", "properties": { "no.such.thing": "1" } });
    refused(config, &["properties", "no.such.thing"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_missing_is_told_where_it_must_not_be_made() {
    let Some(kafka) = servers::kafka() else { return };
    let config = json!({ "bootstrap-servers": kafka.address(), "declare": "passive" });
    let roles = connect(config, Vec::new()).await.expect("there");
    let error = publish(&roles, "no-such-topic", &["a"]).await.expect_err("there is none").to_string();
    assert!(error.contains("no-such-topic") && error.contains("declare"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_that_cannot_be_end_a_subscription_with_words() {
    let Some(kafka) = servers::kafka() else { return };
    let check = async |config: Value, words: &[&str]| {
        let roles = connect(config, Vec::new()).await.expect("there");
        let topic = servers::unique("t");
        let error = match subscribe(&roles, alone(&topic)).await {
            Err(error) => error,
            Ok(_) => panic!("it is let in"),
        };
        assert_eq!(error.fix, Fix::GiveUp, "{error}");
        words.iter().for_each(|word| assert!(error.what.contains(word), "{error}"));
    };
    let short = json!({ "bootstrap-servers": kafka.address(), "session-timeout": "300ms", "heartbeat-interval": "100ms" });
    check(short, &["`session-timeout`", "group.min.session.timeout.ms"]).await;
    let properties = json!({ "max.poll.interval.ms": "50000" });
    let long = json!({ "bootstrap-servers": kafka.address(), "session-timeout": "60s", "properties": properties });
    check(long, &["max.poll.interval.ms", "session.timeout.ms"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_whose_topic_only_a_human_makes_says_so_and_comes_once_it_is_there() {
    let Some(kafka) = servers::kafka() else { return };
    let ours = connect(json!({ "bootstrap-servers": kafka.address() }), Vec::new()).await.expect("there");
    for declare in ["none", "passive"] {
        let topic = servers::unique("t");
        make(&ours, &topic, 2).await;
        let config = json!({ "bootstrap-servers": kafka.address(), "declare": declare });
        let roles = connect(config, Vec::new()).await.expect("there");
        let partition = publish(&roles, &topic, &["a"]).await.expect("published")[0].split('/').nth(1).and_then(|p| p.parse::<u32>().ok());
        let mut lanes = subscribe(&roles, alone(&topic)).await.expect("subscribed");
        let mut hand = hand_of(&mut lanes, partition).await;
        hand.fetch(1).await;
        let error = hand.again(0, Duration::ZERO, 2, 1).try_settle().await.expect_err("it cannot be kept").to_string();
        let retries = format!("{topic}.{topic}.retry.1s");
        assert!(error.contains(&format!("kafka-topics.sh --create --topic {retries} --partitions 2")), "{error}");
        make(&ours, &retries, 2).await;
        hand.settle().await;
        let again = hand.fetch(1).await;
        assert_eq!((hand.payloads_from(again), hand.got.get(again).attempt), (vec!["a".into()], 2));
    }
}

/// The lane of a partition.
async fn hand_of(lanes: &mut longshore_core::Lanes, partition: Option<u32>) -> longshore_testkit::conformance::Hand {
    loop {
        let hand = super::support::lane(lanes).await;
        if hand.lane.partition == partition {
            return hand;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_declare_none_the_brokers_make_what_is_published_to() {
    let Some(kafka) = servers::kafka() else { return };
    let config = json!({ "bootstrap-servers": kafka.address(), "declare": "none" });
    let (roles, topic) = (connect(config, Vec::new()).await.expect("there"), servers::unique("t"));
    publish(&roles, &topic, &["a"]).await.expect("published");
    let mut hand = hand(&roles, alone(&topic)).await;
    hand.fetch(1).await;
    assert_eq!(hand.payloads(), ["a"]);
}
