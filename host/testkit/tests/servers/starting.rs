//! Servers start, keep what they answered over a kill, and are frozen and thawed.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use longshore_testkit::servers::{self, Nats, NatsOptions, RabbitMq, RabbitMqOptions, Redis, RedisOptions, unique};

use crate::wire::{amqp_login, connect, nats_info, redis};

/// Connection.OpenOk.
const OPEN_OK: (u16, u16) = (10, 41);
/// How long is waited for something that must not happen.
const NEVER: Duration = Duration::from_millis(300);

#[test]
fn two_tests_get_the_same_shared_server() {
    let Some(shared) = servers::redis() else { return };
    assert_eq!(shared.ask(&["PING"]), Ok(vec!["PONG".to_owned()]));
    assert!(std::ptr::eq(shared, servers::redis().expect("it is installed")));
}

#[test]
fn no_two_names_are_the_same() {
    assert_ne!(unique("orders"), unique("orders"));
}

#[test]
fn redis_keeps_what_it_answered_over_a_kill() {
    let Some(redis) = Redis::start(&RedisOptions::default().durable()) else { return };
    redis.ask(&["SET", "kept", "yes"]).expect("stored");
    redis.server.restart();
    assert_eq!(redis.ask(&["GET", "kept"]), Ok(vec!["yes".to_owned()]));
}

#[test]
fn a_frozen_server_answers_when_it_is_thawed() {
    let Some(server) = Redis::start(&RedisOptions::default()) else { return };
    let mut client = connect(server.port()).expect("a server");
    server.server.freeze();
    client.set_read_timeout(Some(NEVER)).expect("a socket");
    let silence = redis(&mut client, "PING").expect_err("it is frozen").kind();
    assert!(matches!(silence, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");
    server.server.thaw();
    client.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    let mut answer = [0; 7];
    client.read_exact(&mut answer).expect("an answer to what was asked meanwhile");
    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
fn nats_starts_and_starts_again() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let before = nats.server.pid();
    nats.server.restart();
    assert_ne!(nats.server.pid(), before);
    nats_info(&mut connect(nats.port()).expect("a server")).expect("INFO");
}

#[test]
fn rabbitmq_starts_and_starts_again_and_stops() {
    let Some(rabbitmq) = RabbitMq::start(&RabbitMqOptions::default()) else { return };
    rabbitmq.server.restart();
    let mut client = connect(rabbitmq.port()).expect("a server");
    assert_eq!(amqp_login(&mut client, "guest", "guest", "/").expect("an answer"), OPEN_OK);
    rabbitmq.server.stop();
    assert!(!rabbitmq.server.is_running());
    connect(rabbitmq.port()).expect_err("it has stopped");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let Some(_) = servers::redis() else { return };
    let panic =
        std::panic::catch_unwind(|| Redis::start(&RedisOptions::default().set("no-such-setting", "1"))).expect_err("no such setting");
    let why = panic.downcast_ref::<String>().expect("a message");
    assert!(why.contains("no-such-setting"), "the end of its log is missing: {why}");
}
