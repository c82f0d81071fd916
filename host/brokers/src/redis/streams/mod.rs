//! Redis Streams: a topic is a stream, a lane is a consumer of its group.
//!
//! Entries are acknowledged one by one: what is finished leaves the group's pending list, what fails leaves it too, into a set of retries
//! beside the stream, with its attempts and its time. Each round of settlement is one script, with outputs and dead letters in it. The other
//! roles are administration. Not here: partitions; one stream is one order.

mod acks;
mod certain;
mod check;
mod consumer;
mod dead;
mod decode;
mod dedup;
mod groups;
mod keys;
mod losses;
mod own;
mod publisher;
mod reader;
mod roles;
mod scripts;
mod source;
mod subscription;
mod topics;
mod trim;

use std::time::Duration;

use longshore_core::{Adapter, BoxFuture, BrokerError, Capabilities, Connect, Flag, Refused, Roles, Subscribe};

use super::config::Config;
pub use own::{LostGroup, Subscription, Topic};

/// The adapter.
pub struct Streams;

impl Adapter for Streams {
    const NAME: &'static str = "redis-streams";
    const CAPABILITIES: Capabilities = Capabilities::of(&[
        Flag::Publish,
        Flag::Subscribe,
        Flag::ConsumerGroups,
        Flag::AckNack,
        Flag::DeliveryGuarantees,
        Flag::MessageOrdering,
        Flag::BlockingRead,
        Flag::DeadLetterQueue,
        Flag::Replay,
        Flag::Delay,
        Flag::Transactions,
        Flag::Patterns,
        Flag::Durable,
        Flag::Broadcast,
        Flag::DedupInbox,
    ]);
    const MAX_WAIT: Option<Duration> = Some(Duration::from_secs(1));
    const CONNECTS_AGAIN: bool = true;
    type Config = Config;
    type Subscription = Subscription;
    type Topic = Topic;

    fn able(config: &Config) -> Capabilities {
        config.able(Self::CAPABILITIES)
    }

    fn check_topic(name: &str) -> Result<(), String> {
        super::names::check_name(name)
    }

    fn check_subscription(subscribe: &Subscribe, own: &Subscription) -> Vec<Refused> {
        let mut refused = Vec::new();
        if own.lease.is_some_and(longshore_core::Span::is_zero) {
            refused.push(Refused { key: "lease", problem: "a lease of nothing lends nothing".into(), help: "set it to 30s or so".into() });
        }
        if subscribe.fetch.max_wait.is_zero() {
            refused.push(Refused {
                key: "fetch",
                problem: "max-wait = 0 asks the server again and again without a pause".into(),
                help: "set max-wait to 1s or so".into(),
            });
        }
        if let Err(problem) = consumer::start_id(&subscribe.start) {
            refused.push(Refused { key: "start", problem, help: "write an id as XRANGE shows it, like 1764036000123-0".into() });
        }
        refused
    }

    fn connect(config: Config, connect: Connect) -> BoxFuture<'static, Result<Roles, BrokerError>> {
        Box::pin(async move { roles::connect(&config, &connect).await })
    }
}
