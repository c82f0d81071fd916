//! At most once: whatever happens to hosts, no message is handled twice.

use std::time::Duration;

use super::scenarios::{LONGER_THAN_A_LEASE, times};
use super::vendors::{Rabbit, RedisLists, RedisStreams, Vendor};
use super::world::{IN_FLIGHT, World};

/// RabbitMQ closes a connection from which it has heard nothing for two heartbeats and some more, and hands out again what went over it.
const LONGER_THAN_HEARTBEATS: Duration = Duration::from_secs(12);

/// What the stopped host holds is given to another; whatever it still does when it wakes up, it calls nothing of that.
fn a_host_is_stopped_until_others_have_its_messages<V: Vendor>(stopped: Duration) {
    let Some(mut world) = World::<V>::new("none") else { return };
    world.at_most_once();
    world.begin(2);
    let stops = times(2);
    for stop in 0..stops {
        world.hosts[stop % 2].1.signal("STOP");
        std::thread::sleep(stopped);
        world.hosts[stop % 2].1.signal("CONT");
        world.wait_for_more(50);
    }
    world.end_at_most_once("a host is stopped, at most once", IN_FLIGHT as usize * stops);
}

#[test]
fn redis_streams_call_nothing_twice_when_a_host_is_stopped_for_longer_than_a_lease() {
    a_host_is_stopped_until_others_have_its_messages::<RedisStreams>(LONGER_THAN_A_LEASE);
}

#[test]
fn redis_lists_call_nothing_twice_when_a_host_is_stopped_for_longer_than_a_lease() {
    a_host_is_stopped_until_others_have_its_messages::<RedisLists>(LONGER_THAN_A_LEASE);
}

#[test]
fn rabbitmq_calls_nothing_twice_when_a_host_is_stopped_until_its_connection_is_closed() {
    a_host_is_stopped_until_others_have_its_messages::<Rabbit>(LONGER_THAN_HEARTBEATS);
}
