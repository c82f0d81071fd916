//! RabbitMQ short of a resource.

use longshore_testkit::servers::{Alarm, RabbitMq, RabbitMqOptions};

use crate::wire::{amqp_login, amqp_publish, connect, method};

/// Connection.Blocked and Connection.Unblocked.
const BLOCKED: (u16, u16) = (10, 60);
const UNBLOCKED: (u16, u16) = (10, 61);

#[test]
fn rabbitmq_blocks_publishers_from_the_raise_of_an_alarm_to_its_end() {
    let Some(rabbitmq) = RabbitMq::start(&RabbitMqOptions::default()) else { return };
    for alarm in [Alarm::Disk, Alarm::Memory] {
        rabbitmq.raise(alarm);
        let mut client = connect(rabbitmq.port()).expect("a server");
        amqp_login(&mut client, "guest", "guest", "/").expect("an alarm keeps nobody out");
        amqp_publish(&mut client).expect("sent");
        assert_eq!(method(&mut client).expect("told"), BLOCKED, "{alarm:?}");
        rabbitmq.clear(alarm);
        assert_eq!(method(&mut client).expect("told"), UNBLOCKED, "{alarm:?}");
    }
}
