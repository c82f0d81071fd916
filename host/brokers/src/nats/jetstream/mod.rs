//! JetStream: streams that keep messages, consumers that remember who has had them.
//!
//! A topic is a subject, kept by whichever stream takes it; a group is a durable pull consumer of that name on that stream, with explicit
//! acknowledgement and no bound of deliveries: the host counts. A lane is such a consumer together with one for the group's [`retries`].
//! Not here: why a message is tried again, when, and how often.

mod acks;
pub(super) mod api;
mod before;
mod check;
mod consumers;
mod dead;
mod groups;
mod keys;
mod lanes;
mod members;
mod messages;
mod publisher;
mod pull;
mod requests;
mod retries;
mod source;
mod streams;
mod topics;

use std::sync::Arc;

use longshore_core::{Adapter, BoxFuture, BrokerError, Capabilities, Connect, Flag, Refused, Roles, Subscribe};

use super::config::Config;
use super::link::Link;
use super::names;

pub use keys::{OnVanished, Storage, Subscription, Topic};

/// The adapter.
pub struct NatsJetStream;

impl Adapter for NatsJetStream {
    const NAME: &'static str = "nats-jetstream";
    /// Not `Delay`: the server's schedules belong to streams that were made for them. Not `StreamPartitioning` and not `Transactions`.
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
        Flag::RequestReply,
        Flag::Patterns,
        Flag::Durable,
        Flag::Broadcast,
    ]);
    /// The server answers to what acknowledges a message whether or not it still waited for that.
    const ACKS_BLINDLY: bool = true;
    const CONNECTS_AGAIN: bool = true;
    type Config = Config;
    type Subscription = Subscription;
    type Topic = Topic;

    fn check_topic(name: &str) -> Result<(), String> {
        names::check_topic(name)
    }

    fn check_subscription(subscribe: &Subscribe, own: &Subscription) -> Vec<Refused> {
        own.check(subscribe)
    }

    fn connect(config: Config, connect: Connect) -> BoxFuture<'static, Result<Roles, BrokerError>> {
        Box::pin(async move {
            let link = Link::open(&config, &connect).await?;
            let broker = Arc::new(streams::Broker::open(link.clone(), &config, connect).await?);
            Ok(Roles {
                connection: link,
                consumer: Some(Arc::new(lanes::Joining(broker.clone()))),
                publisher: Some(broker.clone()),
                topics: Some(broker.clone()),
                groups: Some(broker.clone()),
                dead_letters: Some(broker),
            })
        })
    }
}
