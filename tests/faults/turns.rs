//! Two hosts of one group under load, one killed with `kill -9` and one told to stop, in turn.

use std::time::{Duration, Instant};

use super::scenarios::is_full;
use super::vendors::{JetStream, Log, RedisLists, RedisStreams, Vendor};
use super::world::World;

/// How long this goes on at full length, and turns that there are at least.
const FULL: Duration = Duration::from_secs(300);
const TURNS: u64 = 2;

fn one_host_is_killed_and_the_other_told_to_stop_in_turn<V: Vendor>() {
    let Some(mut world) = World::<V>::new("none") else { return };
    world.begin(2);
    let (began, mut turns) = (Instant::now(), 0);
    while turns < TURNS || (is_full() && began.elapsed() < FULL) {
        let (_folder, host) = world.hosts.remove(0);
        host.kill();
        world.host();
        world.wait_for_more(100);
        let (_folder, mut host) = world.hosts.remove(0);
        host.signal("TERM");
        assert_eq!(host.ended(), Some(0), "a host that is told to stop ends well:\n{}", host.log());
        world.host();
        world.wait_for_more(100);
        turns += 1;
    }
    // Whoever is told to stop leaves nothing behind that would come twice.
    world.end(&format!("{turns} hosts are killed and {turns} stopped in turn"), V::REPEATS * turns);
}

#[test]
fn the_ledger_adds_up_when_hosts_of_one_redis_group_are_killed_and_stopped_in_turn() {
    one_host_is_killed_and_the_other_told_to_stop_in_turn::<RedisStreams>();
}

#[test]
fn the_ledger_adds_up_when_hosts_of_one_redis_list_are_killed_and_stopped_in_turn() {
    one_host_is_killed_and_the_other_told_to_stop_in_turn::<RedisLists>();
}

#[test]
fn the_ledger_adds_up_when_hosts_of_one_jetstream_consumer_are_killed_and_stopped_in_turn() {
    one_host_is_killed_and_the_other_told_to_stop_in_turn::<JetStream>();
}

#[test]
fn the_ledger_adds_up_when_hosts_of_one_kafka_group_are_killed_and_stopped_in_turn() {
    one_host_is_killed_and_the_other_told_to_stop_in_turn::<Log>();
}
