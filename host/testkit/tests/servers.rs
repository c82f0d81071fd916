//! The servers for tests start, are what they say, stand what tests do to them, and are gone when the test process is.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use longshore_testkit::servers::{self, Nats, NatsOptions, RabbitMq, RabbitMqOptions, Redis, RedisOptions};

fn connect(port: u16) -> std::io::Result<TcpStream> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))
}

/// What a Redis answers to one inline command.
fn ask(port: u16, command: &str) -> String {
    let mut connection = connect(port).expect("a server");
    connection.write_all(format!("{command}\r\n").as_bytes()).expect("sent");
    let mut answer = [0; 256];
    let length = connection.read(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[test]
fn two_tests_get_the_same_shared_server() {
    let Some(redis) = servers::redis() else { return };
    assert_eq!(ask(redis.port(), "PING"), "+PONG\r\n");
    assert!(std::ptr::eq(redis, servers::redis().expect("it is installed")));
}

#[test]
fn redis_keeps_what_it_answered_over_a_kill() {
    let Some(redis) = Redis::start(&RedisOptions::default().durable()) else { return };
    assert_eq!(ask(redis.port(), "SET kept yes"), "+OK\r\n");
    redis.server.restart();
    assert_eq!(ask(redis.port(), "GET kept"), "$3\r\nyes\r\n");
}

#[test]
fn nats_starts_and_starts_again() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let before = nats.server.pid();
    nats.server.restart();
    assert_ne!(nats.server.pid(), before);
    let mut info = [0; 5];
    connect(nats.port()).expect("a server").read_exact(&mut info).expect("INFO");
    assert_eq!(&info, b"INFO ");
}

#[test]
fn rabbitmq_starts_and_starts_again() {
    let Some(rabbitmq) = RabbitMq::start(&RabbitMqOptions::default()) else { return };
    rabbitmq.server.restart();
    rabbitmq.server.stop();
    connect(rabbitmq.port()).expect_err("it has stopped");
}
