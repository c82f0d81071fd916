//! Real servers for tests: Redis, RabbitMQ, NATS and Kafka on loopback, with throw-away data, gone with the test process however it ends.
//!
//! Most tests share one server of a kind for the whole test process ([`redis`], [`rabbitmq`], [`nats`], [`kafka`]) and keep apart by
//! [`unique`] names. A test that wants a server of its own, to kill it or to set it up in another way, starts one ([`Redis::start`] and so
//! on), and does with its [`Server`] what a fault does: `kill`, `freeze`, `restart`.
//!
//! All of this blocks the calling thread, for milliseconds with Redis and NATS, about two seconds with Kafka and five with RabbitMQ; it belongs to
//! no runtime, so a server outlives the runtime of the test that started it. A test whose own tasks must go on meanwhile runs them on more
//! than one thread, or calls from `tokio::task::spawn_blocking`.
//!
//! A server that is not installed skips the test, loudly, and fails it in continuous integration; `tests/servers/install` installs them.
//! Not here: installing, and any client: tests bring the client of the adapter that they test.

mod disk;
mod kafka;
mod keeper;
mod nats;
mod patience;
mod ports;
mod process;
mod program;
mod rabbitmq;
mod redis;
mod server;
pub mod tls;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

pub use disk::Disk;
pub use kafka::{Kafka, KafkaCluster, KafkaOptions, Operation, Resource};
pub use nats::{Nats, NatsCluster, NatsOptions};
pub use ports::free as free_port;
pub use rabbitmq::{Alarm, RabbitMq, RabbitMqOptions};
pub use redis::{Redis, RedisCluster, RedisOptions, RedisSentinel};
pub use server::Server;

/// The Redis that all tests of this process share, started when one first asks. `None`: not installed, skip the test.
pub fn redis() -> Option<&'static Redis> {
    static SHARED: LazyLock<Redis> = LazyLock::new(|| Redis::launch(&RedisOptions::default()));
    program::REDIS.or_skip(false).map(|()| &*SHARED)
}

/// The RabbitMQ that all tests of this process share, started when one first asks. `None`: not installed, skip the test.
pub fn rabbitmq() -> Option<&'static RabbitMq> {
    static SHARED: LazyLock<RabbitMq> = LazyLock::new(|| RabbitMq::launch(&RabbitMqOptions::default()));
    program::RABBITMQ.or_skip(false).map(|()| &*SHARED)
}

/// The NATS with JetStream that all tests of this process share, started when one first asks. `None`: not installed, skip the test.
pub fn nats() -> Option<&'static Nats> {
    static SHARED: LazyLock<Nats> = LazyLock::new(|| Nats::launch(&NatsOptions::default()));
    program::NATS.or_skip(false).map(|()| &*SHARED)
}

/// The Kafka that all tests of this process share, started when one first asks. `None`: not installed, skip the test.
pub fn kafka() -> Option<&'static Kafka> {
    static SHARED: LazyLock<Kafka> = LazyLock::new(|| Kafka::launch(&KafkaOptions::default()));
    program::KAFKA.or_skip(false).map(|()| &*SHARED)
}

/// `name` with a suffix that no other call, of this process or another, gets: `orders-1a2f-3`.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{name}-{:x}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
