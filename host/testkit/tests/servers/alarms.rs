//! RabbitMQ short of a resource.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use longshore_testkit::servers::{Alarm, RabbitMq, RabbitMqOptions};

use crate::wire::{amqp_login, connect};

/// How long is waited for something that must not happen.
const NEVER: Duration = Duration::from_millis(300);

/// The node lists an alarm before this returns, and not after it is cleared; that publishers are blocked is for a client to see.
#[test]
fn rabbitmq_raises_and_clears_each_alarm() {
    let Some(rabbitmq) = RabbitMq::start(&RabbitMqOptions::default()) else { return };
    for alarm in [Alarm::Disk, Alarm::Memory] {
        rabbitmq.raise(alarm);
        assert!(log_of(&rabbitmq).contains("resource limit alarm set"), "{alarm:?}");
        rabbitmq.clear(alarm);
    }
    let mut client = connect(rabbitmq.port()).expect("a server");
    amqp_login(&mut client, "guest", "guest", "/").expect("no alarm is left");
    client.set_read_timeout(Some(NEVER)).expect("a socket");
    let silence = client.read(&mut [0]).expect_err("nothing is said to a client that is not blocked").kind();
    assert!(matches!(silence, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");
}

fn log_of(rabbitmq: &RabbitMq) -> String {
    std::fs::read_to_string(rabbitmq.server.log()).expect("a log")
}
