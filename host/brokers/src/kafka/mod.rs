//! Apache Kafka.
//!
//! A topic is a topic, a lane is a partition that the group gave to this host. Offsets are committed once messages are finished, and what is
//! finished above an open one is kept beside the offset. Retries wait in topics of the group's own. Not here: why a message is tried again,
//! when, and how often.

mod acks;
mod assigned;
mod blocked;
mod book;
mod broker;
mod browse;
mod cell;
mod check;
mod config;
mod dead;
mod departures;
mod desk;
mod gather;
mod groups;
mod keep;
mod lanes;
mod making;
mod member;
mod names;
mod note;
mod place;
mod post;
mod progress;
mod properties;
mod publisher;
mod reading;
mod rebalance;
mod record;
mod refusals;
mod retries;
mod rights;
mod source;
mod standing;
mod starts;
mod tail;
mod topics;
mod transactions;
mod trouble;
mod watch;
mod watchdog;

use std::sync::Arc;

use longshore_core::{Adapter, BoxFuture, BrokerError, Capabilities, Connect, Flag, Refused, Roles, Start, Subscribe};

use broker::Broker;

pub use crate::declare::Declare;
pub use crate::tls::Tls;
pub use config::{Compression, Config, Mechanism, Producer, Protocol, RetryMode, Security, Servers, Subscription, Topic};

/// The adapter of `type = "kafka"`.
#[derive(Debug)]
pub enum Kafka {}

impl Adapter for Kafka {
    const NAME: &'static str = "kafka";
    /// Not `Delay`: Kafka delivers at once. Not `Broadcast`: it would leave a group behind for each host.
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
        Flag::StreamPartitioning,
        Flag::Transactions,
        Flag::Patterns,
        Flag::Durable,
    ]);
    /// A commit may still be under way when a message is called, and a partition may be another's by then.
    const ACKS_BLINDLY: bool = true;
    /// The brokers refuse the offsets of a member that the group has no more, and with them all that is in their transaction.
    const FENCES: bool = true;
    const CONNECTS_AGAIN: bool = true;
    type Config = Config;
    type Subscription = Subscription;
    type Topic = Topic;

    fn check_topic(name: &str) -> Result<(), String> {
        names::check_topic(name)
    }

    fn able_for(own: &Subscription, able: Capabilities) -> Capabilities {
        if own.exactly_once { able } else { able.without(Flag::Transactions) }
    }

    fn check_subscription(subscribe: &Subscribe, _own: &Subscription) -> Vec<Refused> {
        let refused = |key, problem: String, help: &str| Refused { key, problem, help: help.into() };
        let mut all = Vec::new();
        if let Some(group) = &subscribe.group {
            // A pattern may mean a short name; that a long one has no room for a group is told once it is met.
            let names = subscribe.topics.iter().filter(|topic| !topic.is_wild()).map(|topic| topic.as_str());
            if let Some(Err(problem)) = names.chain(["t"]).map(|topic| names::check_group(group, topic)).find(Result::is_err) {
                all.push(refused("group", problem, "write letters, digits, dots, underscores and dashes"));
            }
        }
        if let Start::Position(text) = &subscribe.start
            && !text.parse::<i64>().is_ok_and(|offset| offset >= 0)
        {
            all.push(refused("start", format!("{text:?} is no offset"), "write a number, which goes for each partition"));
        }
        all
    }

    fn connect(config: Config, connect: Connect) -> BoxFuture<'static, Result<Roles, BrokerError>> {
        Box::pin(async move {
            let broker = Broker::open(config, connect).await?;
            Ok(Roles {
                connection: broker.clone(),
                consumer: Some(Arc::new(lanes::Consuming(Arc::clone(&broker)))),
                publisher: Some(Arc::new(publisher::Publishing(Arc::clone(&broker)))),
                topics: Some(Arc::new(topics::Catalog(Arc::clone(&broker)))),
                groups: Some(Arc::new(groups::Grouping(Arc::clone(&broker)))),
                dead_letters: Some(Arc::new(dead::Letters(broker))),
            })
        })
    }
}
