//! RabbitMQ, over AMQP 0-9-1.
//!
//! A topic is a queue; with an exchange, it is what the exchange routes, and each group has a queue of its own. A lane is one consumer on one
//! channel. What waits for its time (a retry, a delayed message) waits in queues of fixed time to live that lead back. Nothing here needs a
//! plugin. Not here: reconnecting and counting failures, which are the engine's.

mod check;
mod config;
mod consumer;
mod envelope;
mod groups;
mod held;
mod lane;
mod link;
mod names;
mod post;
mod publisher;
mod request;
mod server;
mod settling;
mod topics;
mod topology;
mod trouble;
mod waiting;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use longshore_core::{Adapter, BoxFuture, BrokerError, Capabilities, Connect, Flag, Order, Refused, Roles, Start, Subscribe};

pub use crate::declare::Declare;
pub use config::{Config, ExchangeType, Match, QueueType, Subscription, Topic};

use consumer::Consuming;
use groups::Members;
use link::{Address, Made};
use publisher::Publishing;
use server::Server;
use topics::Catalog;

/// The adapter of `type = "rabbitmq"`.
#[derive(Debug)]
pub enum RabbitMq {}

impl Adapter for RabbitMq {
    const NAME: &'static str = "rabbitmq";
    const CAPABILITIES: Capabilities = Capabilities::of(&[
        Flag::Publish,
        Flag::Subscribe,
        Flag::ConsumerGroups,
        Flag::AckNack,
        Flag::DeliveryGuarantees,
        Flag::MessageOrdering,
        Flag::BlockingRead,
        Flag::Delay,
        Flag::RequestReply,
        Flag::Patterns,
        Flag::Durable,
        Flag::Broadcast,
    ]);
    type Config = Config;
    type Subscription = Subscription;
    type Topic = Topic;

    fn check_topic(name: &str) -> Result<(), String> {
        names::check_topic(name)
    }

    fn check_subscription(subscribe: &Subscribe, own: &Subscription) -> Vec<Refused> {
        let refused = |key, problem: &str, help: &str| Refused { key, problem: problem.into(), help: help.into() };
        let mut all = Vec::new();
        if subscribe.order != Order::None && subscribe.group.is_some() && !own.single_active_consumer {
            let problem = "RabbitMQ gives a queue's messages to several hosts at once, so no order holds over them";
            all.push(refused("order", problem, "write `single-active-consumer = true`, or `order = \"none\"`"));
        }
        if !own.headers.is_empty() && own.exchange_type.is_some_and(|kind| kind != ExchangeType::Headers) {
            let problem = "only an exchange of type \"headers\" routes by headers";
            all.push(refused("headers", problem, "write `exchange-type = \"headers\"`, or take the key out"));
        }
        if matches!(subscribe.start, Start::Time(_) | Start::Position(_)) {
            let problem = "RabbitMQ keeps no messages to begin with again";
            all.push(refused("start", problem, "write \"earliest\", \"latest\" or \"none\""));
        }
        all
    }

    fn connect(config: Config, connect: Connect) -> BoxFuture<'static, Result<Roles, BrokerError>> {
        Box::pin(async move {
            let mut kept = BTreeMap::new();
            for (name, settings) in &connect.topics {
                topics::check_settings(name, settings)?;
                kept.insert(name.clone(), settings.own.read()?);
            }
            let uri = config.uri()?;
            let address = Address {
                tls: config.trust(&connect.folder, &uri)?,
                uri,
                connect_timeout: config.connect_timeout.get(),
                patience: config.confirm_timeout.get(),
                name: connect.name,
                made: Made::default(),
                opened: Mutex::default(),
            };
            let server = Arc::new(Server::new(address, config.declare, config.confirm_timeout.get(), connect.clock, kept));
            server.publishing.get().await?;
            Ok(Roles {
                connection: server.clone(),
                consumer: Some(Arc::new(Consuming(Arc::clone(&server)))),
                publisher: Some(Arc::new(Publishing(Arc::clone(&server)))),
                topics: Some(Arc::new(Catalog(Arc::clone(&server)))),
                groups: Some(Arc::new(Members(server))),
                dead_letters: None,
            })
        })
    }
}
