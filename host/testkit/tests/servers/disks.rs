//! Servers on a disk that is full.

use std::io::{Read, Write};
use std::time::Duration;

use longshore_testkit::servers::{Nats, NatsOptions, Redis, RedisOptions};

use crate::ending::{first_some, wait_until};
use crate::wire::{connect, nats_info};

const DISK: usize = 24 << 20;
/// How long is waited for something that must not happen.
const NEVER: Duration = Duration::from_secs(1);

#[test]
fn redis_stores_nothing_while_its_disk_is_full_and_stores_again_after() {
    // With `always`, a Redis that cannot write ends itself; with `everysec` it refuses writes until it can.
    let options = RedisOptions::default().set("appendonly", "yes").set("appendfsync", "everysec").disk(DISK);
    let Some(redis) = Redis::start(&options) else { return };
    let set = || redis.ask(&["SET", "key", &"x".repeat(10_000)]);
    set().expect("there is room");
    redis.server.disk().fill();
    let refused = first_some("a write is refused", || set().err());
    assert!(refused.starts_with("MISCONF"), "{refused}");
    redis.server.disk().free();
    wait_until("a write is taken again", || set().is_ok());
}

/// The server says nothing to a message that it cannot write, and stops the stream until it is started again (seen with 2.15.1).
#[test]
fn jetstream_acknowledges_nothing_while_its_disk_is_full_and_stores_again_after_a_restart() {
    let Some(nats) = Nats::start(&NatsOptions::default().disk(DISK)) else { return };
    let stream = r#"{"name":"ORDERS","subjects":["orders"],"storage":"file","retention":"limits"}"#;
    let created = request(nats.port(), "$JS.API.STREAM.CREATE.ORDERS", stream).expect("an answer");
    assert!(created.contains("\"did_create\":true"), "{created}");
    let store = || request(nats.port(), "orders", &"x".repeat(100_000));
    let stored = |seq: u64| store().is_some_and(|answer| answer.contains(&format!("\"seq\":{seq}")));
    assert!(stored(1), "there is room");
    nats.server.disk().fill();
    assert_eq!(store(), None);
    nats.server.disk().free();
    nats.server.restart();
    assert!(stored(2), "the first is kept, and there is room");
}

/// What is answered to a message, if anything is within a second.
fn request(port: u16, subject: &str, payload: &str) -> Option<String> {
    let mut client = connect(port).expect("a server");
    nats_info(&mut client).expect("INFO");
    client.set_read_timeout(Some(NEVER)).expect("a socket");
    let length = payload.len();
    let text = format!("CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\nPUB {subject} answer {length}\r\n{payload}\r\n");
    client.write_all(text.as_bytes()).expect("sent");
    // A PING of the server may come first.
    let mut answer = [0; 1024];
    std::iter::from_fn(|| client.read(&mut answer).ok().map(|length| String::from_utf8_lossy(&answer[..length]).into_owned()))
        .find(|text| text.contains("MSG answer"))
}
