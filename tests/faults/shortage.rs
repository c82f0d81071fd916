//! Servers that run short of room under load, and take nothing until they have some again: producers and hosts are told so and wait, and
//! nothing is lost.

use longshore_testkit::servers::{Alarm, Nats, NatsOptions, RabbitMq, RabbitMqOptions, Redis, RedisOptions};

use super::scenarios::times;
use super::vendors::{JetStream, Rabbit, RedisStreams, Vendor};
use super::world::{IN_FLIGHT, World};

/// Room for the messages of a scenario and what the server needs besides.
const DISK: usize = 48 << 20;

/// A broker that can be made to run short.
trait RunsShort: Vendor {
    /// `None` where it is not installed, or cannot be given a disk of its own.
    fn start_small() -> Option<Self>;
    fn run_short(&self);
    fn recover(&self);
}

impl RunsShort for Rabbit {
    fn start_small() -> Option<Self> {
        RabbitMq::start(&RabbitMqOptions::default()).map(Rabbit)
    }
    fn run_short(&self) {
        self.0.raise(Alarm::Disk);
    }
    fn recover(&self) {
        self.0.clear(Alarm::Disk);
    }
}

impl RunsShort for RedisStreams {
    fn start_small() -> Option<Self> {
        // With `appendfsync = "always"` it ends itself in place of refusing.
        Redis::start(&RedisOptions::default().set("appendonly", "yes").set("appendfsync", "everysec").disk(DISK)).map(RedisStreams)
    }
    fn run_short(&self) {
        self.server().disk().fill();
    }
    fn recover(&self) {
        self.server().disk().free();
    }
}

impl RunsShort for JetStream {
    fn start_small() -> Option<Self> {
        Nats::start(&NatsOptions::default().disk(DISK)).map(JetStream)
    }
    fn run_short(&self) {
        self.server().disk().fill();
    }
    fn recover(&self) {
        self.server().disk().free();
        // A stream that could not be written stays stopped until then.
        self.server().restart();
    }
}

fn the_server_runs_short<V: RunsShort>(words: &[&str]) {
    let Some(vendor) = V::start_small() else { return };
    let mut world = World::on(vendor, "none");
    world.begin(1);
    let shortages = times(1);
    for _ in 0..shortages {
        world.vendor.run_short();
        world.wait_for_refusals(3);
        world.wait_until_told(words);
        world.vendor.recover();
        world.wait_for_more(100);
    }
    world.end("the server runs short of room", 2 * IN_FLIGHT * shortages as u64);
}

#[test]
fn nothing_is_lost_while_rabbitmq_blocks_who_publishes() {
    the_server_runs_short::<Rabbit>(&["because of an alarm"]);
}

#[test]
fn nothing_is_lost_while_the_disk_of_redis_is_full() {
    the_server_runs_short::<RedisStreams>(&["MISCONF"]);
}

#[test]
fn nothing_is_lost_while_the_disk_of_jetstream_is_full() {
    the_server_runs_short::<JetStream>(&["no attempt is used"]);
}
