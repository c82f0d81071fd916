//! Redis pub/sub: a message goes to who listens to its channel when it is published, and to nobody else.
//!
//! A topic is a channel. There are no groups: every subscription hears everything, so the only mode is broadcast. A lane is all that one
//! subscription hears, over a connection of its own: the server does not wait, so what comes waits in a [buffer](crate::buffer) until the lane
//! has room. Nothing is kept, so nothing comes again. Not here: copying messages into the log (`persist`), which is the host's.

mod acks;
mod check;
mod config;
mod consumer;
mod ear;
mod element;
mod publisher;
mod source;
mod wanted;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use longshore_core::{
    Adapter, BoxFuture, BrokerError, Capabilities, Clock, Connect, Connection, Flag, NoKeys, Refused, Roles, Start, Subscribe,
};

use super::names::{check_name, new_consumer};
use super::server::Server;
use crate::forgetful;

pub use crate::buffer::{Overflow, Subscription};
pub use config::Config;

/// The adapter.
pub struct PubSub;

impl Adapter for PubSub {
    const NAME: &'static str = "redis-pubsub";
    const CAPABILITIES: Capabilities =
        Capabilities::of(&[Flag::Publish, Flag::Subscribe, Flag::MessageOrdering, Flag::BlockingRead, Flag::Patterns, Flag::Broadcast]);
    const FORGETS: Option<&'static str> = Some("redis-streams");
    const CONNECTS_AGAIN: bool = true;
    type Config = Config;
    type Subscription = Subscription;
    type Topic = NoKeys;

    fn check_topic(name: &str) -> Result<(), String> {
        check_name(name)
    }

    fn check_subscription(_: &Subscribe, own: &Subscription) -> Vec<Refused> {
        own.check().into_iter().collect()
    }

    fn connect(config: Config, connect: Connect) -> BoxFuture<'static, Result<Roles, BrokerError>> {
        Box::pin(async move {
            forgetful::check_topics(&connect.topics, Self::FORGETS)?;
            let server = Arc::new(Server::reach(&config.0, &connect).await?);
            let broker = Arc::new(Broker { server, clock: connect.clock, sender: new_consumer(), sent: AtomicU64::new(0) });
            Ok(Roles {
                connection: broker.clone(),
                consumer: Some(broker.clone()),
                publisher: Some(broker),
                topics: None,
                groups: None,
                dead_letters: None,
            })
        })
    }
}

/// One broker with its roles.
struct Broker {
    server: Arc<Server>,
    clock: Clock,
    /// What no other connection's ids begin with.
    sender: String,
    /// Messages that got an id here.
    sent: AtomicU64,
}

impl Connection for Broker {
    fn ping(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.server.ping()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.server.close()
    }

    fn connections(&self) -> Option<u64> {
        self.server.connections()
    }
}

/// What no channel can do. A host refuses it by the flags; whoever asks without one hears it here.
fn impossible(subscribe: &Subscribe) -> Option<BrokerError> {
    let told = match &subscribe.start {
        _ if subscribe.group.is_some() => {
            "group: every subscriber of a channel gets everything; write mode = \"broadcast\", or use redis-streams"
        }
        Start::Time(_) | Start::Position(_) => "start: a channel keeps nothing that could be read again; redis-streams can begin anywhere",
        _ => return None,
    };
    Some(BrokerError::give_up(told))
}
