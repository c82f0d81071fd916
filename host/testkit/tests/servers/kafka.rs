//! Kafka: who is let in, what is kept, and what is left when a node or the room is gone.

use std::path::Path;

use longshore_testkit::proxy::{Proxy, Traffic};
use longshore_testkit::servers::tls::Authority;
use longshore_testkit::servers::{Kafka, KafkaCluster, KafkaOptions, free_port};

use crate::ending::{first_some, wait_until};
use crate::kafka_wire::{Metadata, authenticate, metadata};
use crate::security::assert_distrusted;
use crate::wire::{connect, encrypt};

/// Error code 58, SASL_AUTHENTICATION_FAILED. <https://kafka.apache.org/protocol#protocol_error_codes>
const WRONG_PASSWORD: i16 = 58;

fn ask(port: u16, topic: Option<&str>, may_make: bool) -> Metadata {
    metadata(&mut connect(port).expect("a server"), topic, may_make).expect("an answer")
}

/// Makes a topic, and answers the number of its leader.
fn make(port: u16, topic: &str) -> i32 {
    first_some("the topic is made", || ask(port, Some(topic), true).leader)
}

#[test]
fn kafka_keeps_its_topics_over_a_kill() {
    let Some(kafka) = Kafka::start(&KafkaOptions::default()) else { return };
    assert_eq!(ask(kafka.port(), Some("orders"), false).leader, None, "nobody has asked for it yet");
    make(kafka.port(), "orders");
    kafka.server.restart();
    assert_eq!(first_some("it leads again", || ask(kafka.port(), Some("orders"), false).leader), 1);
}

#[test]
fn kafka_lets_in_whom_its_users_and_its_authority_name() {
    let authority = Authority::new();
    let Some(kafka) = Kafka::start(&KafkaOptions::default().tls(&authority).user("alice", "secret")) else { return };
    let plain = |password: &str| format!("\0alice\0{password}").into_bytes();
    let (right, wrong) = (plain("secret"), plain("wrong"));
    let mut open = connect(kafka.sasl_port()).expect("it listens");
    assert_eq!(authenticate(&mut open, "PLAIN", &right).expect("an answer"), Ok(Vec::new()));
    assert_eq!(metadata(&mut open, None, false).expect("an answer").brokers, [(1, kafka.sasl_port())]);
    let mut open = connect(kafka.sasl_port()).expect("it listens");
    assert_eq!(authenticate(&mut open, "PLAIN", &wrong).expect("an answer"), Err(WRONG_PASSWORD));
    let mut closed = encrypt(connect(kafka.sasl_tls_port()).expect("it listens"), authority.certificate(), None).expect("a handshake");
    assert_eq!(authenticate(&mut closed, "PLAIN", &right).expect("an answer"), Ok(Vec::new()));
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let mut open = connect(kafka.sasl_port()).expect("it listens");
        // RFC 5802, section 3: who is known is answered with a salt.
        let answer = authenticate(&mut open, mechanism, b"n,,n=alice,r=abc").expect("an answer").expect("alice is known");
        assert!(answer.starts_with(b"r=abc") && answer.windows(3).any(|w| w == b",s="), "{}", String::from_utf8_lossy(&answer));
        let mut open = connect(kafka.sasl_port()).expect("it listens");
        assert_eq!(authenticate(&mut open, mechanism, b"n,,n=bob,r=abc").expect("an answer"), Err(WRONG_PASSWORD));
    }
    assert_distrusted(connect(kafka.tls_port()).expect("it listens"));
}

#[test]
fn kafka_wants_a_certificate_of_clients_where_it_is_told_to() {
    let authority = Authority::new();
    let Some(kafka) = Kafka::start(&KafkaOptions::default().tls(&authority).set("ssl.client.auth", "required")) else { return };
    let as_client = |identity, trusted: &Path| metadata(&mut encrypt(connect(kafka.tls_port())?, trusted, identity)?, None, false);
    let brokers = as_client(Some(authority.client("orders")), authority.certificate()).expect("an answer").brokers;
    assert_eq!(brokers, [(1, kafka.tls_port())]);
    as_client(None, authority.certificate()).expect_err("no certificate");
}

#[test]
fn kafka_sends_clients_to_the_proxy_in_front_of_it() {
    let port = free_port();
    let proxy = Proxy::start(port);
    let Some(kafka) = Kafka::start(&KafkaOptions::default().behind(port, proxy.port())) else { return };
    assert_eq!(ask(proxy.port(), None, false).brokers, [(1, proxy.port())]);
    proxy.all(Traffic::Hang);
    // What it needs of itself does not go that way.
    make(kafka.port(), "orders");
}

#[test]
fn kafka_elects_another_leader_when_a_node_is_killed() {
    let Some(cluster) = KafkaCluster::start(&KafkaOptions::default()) else { return };
    let leader = make(cluster.nodes()[0].port(), "orders");
    let place = usize::try_from(leader).expect("a number") - 1;
    cluster.nodes()[place].server.kill();
    let other = cluster.nodes()[(place + 1) % 3].port();
    wait_until("another leads", || ask(other, Some("orders"), false).leader.is_some_and(|now| now != leader));
    cluster.nodes()[place].server.launch();
    cluster.await_ready();
    assert_eq!(ask(other, None, false).brokers.len(), 3);
}

#[test]
fn kafka_ends_when_its_disk_is_full_and_starts_again_when_there_is_room() {
    let Some(kafka) = Kafka::start(&KafkaOptions::default().disk(24 << 20)) else { return };
    make(kafka.port(), "orders");
    kafka.server.disk().fill();
    // Its answer may come before it notices, or never.
    let _ = connect(kafka.port()).and_then(|mut open| metadata(&mut open, Some("more"), true));
    wait_until("it ends", || !kafka.server.is_running());
    kafka.server.disk().free();
    kafka.server.launch();
    kafka.server.await_ready();
    assert_eq!(first_some("it leads again", || ask(kafka.port(), Some("orders"), false).leader), 1);
}
