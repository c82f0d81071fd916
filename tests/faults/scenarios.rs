//! What happens to a host, a server and what lies between them. Each scenario is the same for every broker.

use std::time::Duration;

use longshore_testkit::proxy::{Direction, Traffic};

use super::vendors::{JetStream, Log, Rabbit, RedisStreams, Vendor};
use super::world::World;

/// Longer than the lease that vendors are configured with.
pub(crate) const LONGER_THAN_A_LEASE: Duration = Duration::from_secs(5);

/// How often something is done: a few times, or often when the whole suite is asked for.
pub(crate) fn times(few: usize) -> usize {
    if is_full() { few * 10 } else { few }
}

/// Whether the suite runs at full length.
pub(crate) fn is_full() -> bool {
    std::env::vars().any(|(name, _)| name == "LONGSHORE_FAULTS_FULL")
}

fn hosts_are_killed<V: Vendor>() {
    let Some(mut world) = World::<V>::new(V::ORDER) else { return };
    world.begin(1);
    let kills = times(3);
    for _ in 0..kills {
        let (_folder, host) = world.hosts.remove(0);
        host.kill();
        world.host();
        world.wait_for_more(50);
    }
    world.end("hosts are killed", V::REPEATS * kills as u64);
}

fn the_server_is_killed_and_comes_back<V: Vendor>() {
    let Some(mut world) = World::<V>::new(V::ORDER) else { return };
    world.reconnects();
    world.begin(1);
    let kills = times(2);
    for _ in 0..kills {
        world.vendor.server().restart();
        world.wait_for_more(100);
    }
    world.end("the server is killed", 2 * V::REPEATS * kills as u64);
}

/// Another host takes over what the stopped one holds; when that wakes up, its late acknowledgements must do nothing.
fn a_host_is_stopped_for_longer_than_a_lease<V: Vendor>() {
    let Some(mut world) = World::<V>::new("none") else { return };
    world.begin(2);
    let stops = times(1);
    for _ in 0..stops {
        world.hosts[0].1.signal("STOP");
        std::thread::sleep(LONGER_THAN_A_LEASE);
        world.hosts[0].1.signal("CONT");
        world.wait_for_more(50);
    }
    world.end("a host is stopped", 2 * V::REPEATS * stops as u64);
}

fn the_server_is_stopped_for_longer_than_a_lease<V: Vendor>() {
    let Some(mut world) = World::<V>::new(V::ORDER) else { return };
    world.reconnects();
    world.begin(1);
    let stops = times(1);
    for _ in 0..stops {
        world.vendor.server().freeze();
        std::thread::sleep(LONGER_THAN_A_LEASE);
        world.vendor.server().thaw();
        world.wait_for_more(50);
    }
    world.end("the server is stopped", 2 * V::REPEATS * stops as u64);
}

fn hosts_join_and_leave<V: Vendor>() {
    let Some(mut world) = World::<V>::new("none") else { return };
    world.begin(1);
    let turns = times(2);
    for turn in 0..turns {
        world.one_comes_and_the_oldest_goes(turn, 50);
    }
    world.end("hosts join and leave", V::REPEATS * turns as u64);
}

fn connections_are_reset_again_and_again<V: Vendor>() {
    let Some(mut world) = World::<V>::new(V::ORDER) else { return };
    world.reconnects();
    let proxy = world.vendor.proxy();
    world.by_way_of(proxy.port());
    world.begin(1);
    let resets = times(8);
    for reset in 0..resets {
        // Cut between two messages or in the middle of one, as it comes.
        proxy.existing(if reset % 2 == 0 { Traffic::Reset } else { Traffic::CutAfter(Direction::ToClient, 1000 + 37 * reset) });
        world.wait_for_more(20);
    }
    world.end("connections are reset", V::REPEATS * resets as u64);
}

/// Nothing is closed, and nothing comes any more.
fn connections_hang<V: Vendor>() {
    let Some(mut world) = World::<V>::new(V::ORDER) else { return };
    world.reconnects();
    let proxy = world.vendor.proxy();
    world.by_way_of(proxy.port());
    world.begin(1);
    let hangs = times(1);
    for _ in 0..hangs {
        proxy.existing(Traffic::Hang);
        std::thread::sleep(LONGER_THAN_A_LEASE);
        world.wait_for_more(50);
    }
    world.end("connections hang", 4 * V::REPEATS * hangs as u64);
}

macro_rules! scenarios {
    ($($broker:ident: $vendor:ty),+ $(,)?) => {
        $(mod $broker {
            use super::*;

            #[test]
            fn nothing_is_lost_when_hosts_are_killed() {
                hosts_are_killed::<$vendor>();
            }

            #[test]
            fn nothing_is_lost_when_the_server_is_killed_and_comes_back() {
                the_server_is_killed_and_comes_back::<$vendor>();
            }

            #[test]
            fn nothing_is_lost_when_a_host_is_stopped_for_longer_than_a_lease() {
                a_host_is_stopped_for_longer_than_a_lease::<$vendor>();
            }

            #[test]
            fn nothing_is_lost_when_the_server_is_stopped_for_longer_than_a_lease() {
                the_server_is_stopped_for_longer_than_a_lease::<$vendor>();
            }

            #[test]
            fn nothing_is_lost_when_hosts_join_and_leave() {
                hosts_join_and_leave::<$vendor>();
            }

            #[test]
            fn nothing_is_lost_when_connections_are_reset_again_and_again() {
                connections_are_reset_again_and_again::<$vendor>();
            }

            #[test]
            fn nothing_is_lost_when_a_connection_hangs_without_being_closed() {
                connections_hang::<$vendor>();
            }
        })+
    };
}

scenarios! {
    redis_streams: RedisStreams,
    rabbitmq: Rabbit,
    nats_jetstream: JetStream,
    kafka: Log,
}
