//! Redis lists: a topic is a list, and whoever reads it is the one group that it has.
//!
//! Messages are pushed on the left and taken from the right. What a consumer takes stands in a hash of its own until it is settled, under a
//! number that no other message has: two equal payloads are two messages, and settling needs neither their bytes nor a search for them. A
//! consumer keeps a heartbeat; when that is missing, what it had comes again. Not here: order over hosts, broadcast, and going back to what was
//! taken, none of which a list can do.

mod acks;
mod check;
mod consumer;
mod dead;
mod decode;
mod groups;
mod keys;
mod own;
mod publisher;
mod roles;
mod scripts;
mod source;
mod topics;
mod waiter;

use std::time::Duration;

use longshore_core::{Adapter, BoxFuture, BrokerError, Capabilities, Connect, Flag, NoKeys, Order, Refused, Roles, Start, Subscribe};

use super::config::Config;
pub use own::Subscription;

/// The adapter.
pub struct Lists;

impl Adapter for Lists {
    const NAME: &'static str = "redis-list";
    const CAPABILITIES: Capabilities = Capabilities::of(&[
        Flag::Publish,
        Flag::Subscribe,
        Flag::ConsumerGroups,
        Flag::AckNack,
        Flag::DeliveryGuarantees,
        Flag::BlockingRead,
        Flag::DeadLetterQueue,
        Flag::Delay,
        Flag::Transactions,
        Flag::Patterns,
        Flag::Durable,
    ]);
    const IS_QUEUE: bool = true;
    const MAX_WAIT: Option<Duration> = Some(Duration::from_secs(10));
    const CONNECTS_AGAIN: bool = true;
    type Config = Config;
    type Subscription = Subscription;
    type Topic = NoKeys;

    fn able(config: &Config) -> Capabilities {
        config.able(Self::CAPABILITIES)
    }

    fn check_topic(name: &str) -> Result<(), String> {
        super::names::check_name(name)
    }

    fn check_subscription(subscribe: &Subscribe, own: &Subscription) -> Vec<Refused> {
        refused(subscribe, own)
    }

    fn connect(config: Config, connect: Connect) -> BoxFuture<'static, Result<Roles, BrokerError>> {
        Box::pin(async move { roles::connect(&config, &connect).await })
    }
}

/// Values that cannot mean anything.
fn refused(subscribe: &Subscribe, own: &Subscription) -> Vec<Refused> {
    let lease = own.lease.is_some_and(longshore_core::Span::is_zero);
    told(&[
        (lease, "lease", "a heartbeat that is over at once says that nobody is there", "set it to 30s or so"),
        (subscribe.fetch.max_wait.is_zero(), "fetch", "max-wait = 0 would wait for ever", "set max-wait to 10s or so"),
        (subscribe.start == Start::Latest, "start", KEEPS_NOTHING, START_HELP),
    ])
}

/// What no list can do. A host refuses it by the flags; whoever asks without one hears it here.
fn impossible(subscribe: &Subscribe) -> Vec<Refused> {
    let replay = matches!(subscribe.start, Start::Time(_) | Start::Position(_));
    told(&[
        (replay, "start", KEEPS_NOTHING, START_HELP),
        (subscribe.order != Order::None, "order", "the hosts that read a list divide it in no order", ORDER_HELP),
        (subscribe.group.is_none(), "mode", "a list gives each message to one reader, so there is no broadcast", BROADCAST_HELP),
    ])
}

fn told(checks: &[(bool, &'static str, &str, &str)]) -> Vec<Refused> {
    let refused = checks.iter().filter(|(is_refused, ..)| *is_refused);
    refused.map(|(_, key, problem, help)| Refused { key, problem: (*problem).into(), help: (*help).into() }).collect()
}

const KEEPS_NOTHING: &str = "a list keeps nothing that was taken: it is read from its oldest message on";
const START_HELP: &str = "take it out, or write \"earliest\"; redis-streams can begin anywhere";
const ORDER_HELP: &str = "write order = \"none\"; redis-streams keeps order by key and by lane";
const BROADCAST_HELP: &str = "write mode = \"queue\"; redis-streams has broadcast";

#[cfg(test)]
mod tests {
    use longshore_core::{Fetch, OwnKeys, Pattern};

    use super::*;

    #[test]
    fn what_no_list_can_do_is_refused_with_what_can() {
        let good = Subscribe {
            topics: vec![Pattern::new("t").expect("a name")],
            group: Some("g".into()),
            start: Start::Earliest,
            order: Order::None,
            fetch: Fetch { max_messages: 1, max_wait: Duration::from_secs(10) },
            max_in_flight: 1,
            delays: Vec::new(),
            dedup: None,
            own: OwnKeys::default(),
        };
        let own = Subscription::default();
        let keys = |subscribe: &Subscribe, own: &Subscription| -> Vec<&str> {
            refused(subscribe, own).iter().chain(&impossible(subscribe)).map(|r| r.key).collect()
        };
        assert!(keys(&good, &own).is_empty());
        assert_eq!(keys(&Subscribe { order: Order::Key, ..good.clone() }, &own), ["order"]);
        assert_eq!(keys(&Subscribe { order: Order::Lane, group: None, ..good.clone() }, &own), ["order", "mode"]);
        for start in [Start::Latest, Start::Time(1), Start::Position("1".into())] {
            assert_eq!(keys(&Subscribe { start, ..good.clone() }, &own), ["start"]);
        }
        let zero = Fetch { max_messages: 1, max_wait: Duration::ZERO };
        let at_once = Subscription { lease: Some(longshore_core::Span::from_secs(0)) };
        assert_eq!(keys(&Subscribe { fetch: zero, ..good }, &at_once), ["lease", "fetch"]);
    }
}
