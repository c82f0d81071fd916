//! Core NATS: a message goes to who listens when it is published, and to nobody else.
//!
//! A topic is a subject, a group is a queue group. A lane is all that one subscription hears, over one connection: the server does not wait,
//! so what comes waits in a [buffer](crate::buffer) until the lane has room. Nothing is kept, so nothing comes again: acknowledgements say
//! nothing, and there are no retries and no dead letters. Not here: copying messages into the log (`persist`), which is the host's.

mod acks;
mod check;
mod config;
mod consumer;
mod listening;
mod publisher;
mod requests;
mod source;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use longshore_core::{
    Adapter, BoxFuture, BrokerError, Capabilities, Clock, Connect, Flag, NoKeys, Order, Refused, Roles, Start, Subscribe,
};

use super::link::Link;
use super::names;
use crate::forgetful;

pub use crate::buffer::{Overflow, Subscription};
pub use config::Config;

/// The adapter.
pub struct Nats;

impl Adapter for Nats {
    const NAME: &'static str = "nats";
    const CAPABILITIES: Capabilities = Capabilities::of(&[
        Flag::Publish,
        Flag::Subscribe,
        Flag::ConsumerGroups,
        Flag::MessageOrdering,
        Flag::BlockingRead,
        Flag::RequestReply,
        Flag::Patterns,
        Flag::Broadcast,
    ]);
    const FORGETS: Option<&'static str> = Some("nats-jetstream");
    const CONNECTS_AGAIN: bool = true;
    type Config = Config;
    type Subscription = Subscription;
    type Topic = NoKeys;

    fn check_topic(name: &str) -> Result<(), String> {
        names::check_topic(name)
    }

    fn check_subscription(subscribe: &Subscribe, own: &Subscription) -> Vec<Refused> {
        refused(subscribe, *own)
    }

    fn connect(config: Config, connect: Connect) -> BoxFuture<'static, Result<Roles, BrokerError>> {
        Box::pin(async move {
            forgetful::check_topics(&connect.topics, Self::FORGETS)?;
            let link = Link::open(&config.0, &connect).await?;
            let own = link.client.new_inbox();
            let sender = own.strip_prefix(names::INBOX).unwrap_or(&own).to_owned();
            let broker = Arc::new(Broker { link: link.clone(), clock: connect.clock, sender, sent: AtomicU64::new(0) });
            Ok(Roles {
                connection: link,
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
    link: Arc<Link>,
    clock: Clock,
    /// What no other connection's ids begin with.
    sender: String,
    /// Messages that got an id here.
    sent: AtomicU64,
}

/// What core NATS cannot do, or makes no sense of.
fn refused(subscribe: &Subscribe, own: Subscription) -> Vec<Refused> {
    let replay = matches!(subscribe.start, Start::Time(_) | Start::Position(_));
    let shared_order = subscribe.order != Order::None && subscribe.group.is_some();
    let bad_group = subscribe.group.as_ref().is_some_and(|group| group.contains(|c: char| c.is_whitespace() || c.is_control()));
    let told = [
        (replay, "start", "core NATS keeps nothing that could be read again", "take it out; nats-jetstream can begin anywhere"),
        (
            shared_order,
            "order",
            "the members of a queue group get messages in no order",
            "write mode = \"broadcast\", or persist = true; nats-jetstream keeps order for a group",
        ),
        (bad_group, "group", "a queue group has no white space in its name", "write a name like billing"),
    ];
    let told = told.into_iter().filter(|(is_refused, ..)| *is_refused);
    told.map(|(_, key, problem, help)| Refused { key, problem: problem.into(), help: help.into() }).chain(own.check()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longshore_core::{Fetch, OwnKeys, Pattern};

    use super::*;

    #[test]
    fn what_core_nats_cannot_do_is_refused_with_what_can() {
        let good = Subscribe {
            topics: vec![Pattern::new("t").expect("a name")],
            group: Some("g".into()),
            start: Start::Earliest,
            order: Order::None,
            fetch: Fetch { max_messages: 1, max_wait: Duration::from_secs(1) },
            max_in_flight: 1,
            delays: Vec::new(),
            dedup: None,
            own: OwnKeys::default(),
        };
        let keys = |subscribe: &Subscribe, own: Subscription| refused(subscribe, own).iter().map(|r| r.key).collect::<Vec<_>>();
        let own = Subscription::default();
        assert!(keys(&good, own).is_empty());
        assert_eq!(keys(&Subscribe { order: Order::Key, ..good.clone() }, own), ["order"]);
        assert!(keys(&Subscribe { order: Order::Key, group: None, ..good.clone() }, own).is_empty());
        assert_eq!(keys(&Subscribe { start: Start::Time(1), group: Some("a b".into()), ..good.clone() }, own), ["start", "group"]);
        assert_eq!(keys(&good, Subscription { buffer: 0, ..own }), ["buffer"]);
    }
}
