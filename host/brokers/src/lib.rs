//! Longshore's adapters: one folder for each kind of broker, with all its roles.
//!
//! A new one is a folder here, a line in [`ADAPTERS`] (or in [`STORES`], for what keeps values) and a feature in `Cargo.toml`; documentation, schema, checks and the conformance suite
//! follow from that list. Not here: retrying, reconnecting, counting. An adapter fetches, settles, publishes and tells what went wrong.

#[cfg(any(feature = "nats", feature = "redis-pubsub"))]
mod buffer;
#[cfg(any(feature = "embedded", feature = "memory", feature = "redis-list", feature = "redis-streams"))]
mod chunk;
#[cfg(any(
    feature = "embedded",
    feature = "memory",
    feature = "nats-jetstream",
    feature = "redis-list",
    feature = "redis-pubsub",
    feature = "redis-streams"
))]
mod counter;
#[cfg(any(feature = "kafka", feature = "nats", feature = "nats-jetstream", feature = "rabbitmq"))]
mod declare;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(any(feature = "nats", feature = "redis-pubsub"))]
mod forgetful;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(any(
    feature = "embedded",
    feature = "memory",
    feature = "nats-jetstream",
    feature = "redis-list",
    feature = "redis-pubsub",
    feature = "redis-streams"
))]
mod leases;
#[cfg(any(feature = "kafka", feature = "nats-jetstream", feature = "redis-list", feature = "redis-streams"))]
mod letter;
#[cfg(any(feature = "embedded", feature = "memory"))]
mod local;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(any(feature = "nats", feature = "redis-pubsub"))]
mod narrowed;
#[cfg(any(feature = "nats", feature = "nats-jetstream"))]
pub mod nats;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
#[cfg(any(feature = "redis-list", feature = "redis-pubsub", feature = "redis-streams"))]
pub mod redis;
#[cfg(any(feature = "embedded", feature = "memory"))]
mod shelf;
#[cfg(any(feature = "nats-jetstream", feature = "redis-list", feature = "redis-pubsub", feature = "redis-streams"))]
mod store_keys;
#[cfg(any(
    feature = "kafka",
    feature = "nats",
    feature = "nats-jetstream",
    feature = "rabbitmq",
    feature = "redis-list",
    feature = "redis-pubsub",
    feature = "redis-streams"
))]
pub mod tls;

use longshore_core::{Registration, StoreRegistration};

/// All adapters of this build, in the order of tables.
pub const ADAPTERS: &[Registration] = &[
    #[cfg(feature = "embedded")]
    Registration::of::<embedded::Embedded>(),
    #[cfg(feature = "kafka")]
    Registration::of::<kafka::Kafka>(),
    #[cfg(feature = "memory")]
    Registration::of::<memory::Memory>(),
    #[cfg(feature = "nats")]
    Registration::of::<nats::core::Nats>(),
    #[cfg(feature = "nats-jetstream")]
    Registration::of::<nats::jetstream::NatsJetStream>(),
    #[cfg(feature = "rabbitmq")]
    Registration::of::<rabbitmq::RabbitMq>(),
    #[cfg(feature = "redis-list")]
    Registration::of::<redis::lists::Lists>(),
    #[cfg(feature = "redis-pubsub")]
    Registration::of::<redis::pubsub::PubSub>(),
    #[cfg(feature = "redis-streams")]
    Registration::of::<redis::streams::Streams>(),
];

/// All kinds of store of this build, in the order of tables.
pub const STORES: &[StoreRegistration] = &[
    #[cfg(feature = "embedded")]
    StoreRegistration::of::<embedded::EmbeddedStore>(),
    #[cfg(feature = "memory")]
    StoreRegistration::of::<memory::MemoryStore>(),
    #[cfg(feature = "nats-jetstream")]
    StoreRegistration::of::<nats::NatsStore>(),
    #[cfg(any(feature = "redis-list", feature = "redis-pubsub", feature = "redis-streams"))]
    StoreRegistration::of::<redis::RedisStore>(),
];

#[cfg(test)]
mod tests {
    use longshore_core::Flag;

    use super::*;

    #[test]
    fn every_adapter_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = ADAPTERS.iter().map(|adapter| adapter.name).collect();
        assert_eq!(names.len(), ADAPTERS.len());
        let names: std::collections::BTreeSet<_> = STORES.iter().map(|adapter| adapter.name).collect();
        assert_eq!(names.len(), STORES.len());
    }

    #[test]
    fn what_forgets_declares_nothing_that_needs_keeping_and_names_what_keeps() {
        let kept =
            [Flag::AckNack, Flag::DeliveryGuarantees, Flag::DeadLetterQueue, Flag::Replay, Flag::Delay, Flag::Transactions, Flag::Durable];
        for adapter in ADAPTERS {
            let keeps = kept.into_iter().any(|flag| adapter.capabilities.has(flag));
            assert_eq!(keeps, adapter.forgets.is_none(), "{}", adapter.name);
        }
    }
}
