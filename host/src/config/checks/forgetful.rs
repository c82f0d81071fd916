//! Of a broker that keeps nothing, nothing is asked that needs keeping: not of its subscriptions, unless their messages are copied into the
//! log first, and not of its topics.

use longshore_core::{Start, TopicSettings};

use super::Checking;
use crate::config::path::KeyPath;
use crate::config::trusted::{BrokerConfig, SubscriptionConfig};

/// Keys of a subscription, or of its handler, that need something to be kept, and why they mean nothing where it is not.
const KEPT: [(&str, &str); 3] = [
    ("retry", "nothing comes again there: what fails is gone, with a log line and a count"),
    ("dead-letter", "there is no place for dead letters: what fails is gone, with a log line and a count"),
    ("max-deliveries", "each message is handed over once there"),
];

pub(super) fn check(checking: &mut Checking<'_>) {
    let config = checking.config;
    for subscription in config.subscriptions() {
        if let Some((broker, instead)) = forgetful(checking, subscription) {
            said_of_one(checking, subscription, broker, instead);
        }
    }
    let handlers = config.handlers.values().map(|h| ("handlers", &h.name, &h.subscriptions));
    let jobs = config.jobs.values().map(|j| ("jobs", &j.name, &j.subscriptions));
    for (table, name, subscriptions) in handlers.chain(jobs) {
        // Where one of them can do it, it is said for that one.
        let all: Option<Vec<_>> = subscriptions.iter().map(|s| forgetful(checking, s)).collect();
        if let Some((broker, instead)) = all.and_then(|all| all.first().copied()) {
            kept(checking, &KeyPath::of([table, name]), broker, instead);
        }
    }
    for topic in &config.topics {
        let TopicSettings { retention, max_size, until_finished, own: _ } = &topic.settings;
        let said = [("retention", retention.is_some()), ("max-size", max_size.is_some()), ("until-finished", *until_finished)];
        let Some(broker) = config.brokers.get(&topic.broker) else { continue };
        let Some(instead) = broker.registration.forgets else { continue };
        for (key, _) in said.into_iter().filter(|(_, said)| *said) {
            let problem = format!("{} keeps no messages", shown(broker));
            checking.tell(&topic.path.key(key), problem, format!("take it out; {instead} keeps messages"));
        }
    }
}

/// The broker of a subscription whose messages nobody keeps, and what is used in its place.
fn forgetful<'a>(checking: &Checking<'a>, subscription: &SubscriptionConfig) -> Option<(&'a BrokerConfig, &'static str)> {
    let broker = checking.config.brokers.get(&subscription.broker)?;
    // A copy that cannot be made has been told.
    let persists = checking.config.origins.at(&subscription.path.key("persist")).is_some_and(|node| node.json() == true);
    let instead = broker.registration.forgets.filter(|_| !persists)?;
    Some((broker, instead))
}

fn said_of_one(checking: &mut Checking<'_>, subscription: &SubscriptionConfig, broker: &BrokerConfig, instead: &str) {
    let path = &subscription.path;
    kept(checking, path, broker, instead);
    let says = |key: &str| checking.config.origins.at(&path.key(key)).map(|node| node.json());
    let delivery = says("delivery");
    if delivery.is_some_and(|delivery| delivery == "at-least-once") {
        let problem = format!("{} keeps nothing, so each message is delivered at most once", shown(broker));
        checking.tell(&path.key("delivery"), problem, help(instead));
    }
    // Going back further has been told: it needs `replay`.
    if says("start").is_some() && matches!(subscription.start, Start::Earliest | Start::None) {
        let problem = format!("{} keeps nothing: a subscription begins with what comes from now on", shown(broker));
        checking.tell(&path.key("start"), problem, help(instead));
    }
}

/// Tells of the keys in a table that need something to be kept. `dead-letter = false` is what there is.
fn kept(checking: &mut Checking<'_>, table: &KeyPath, broker: &BrokerConfig, instead: &str) {
    for (key, why) in KEPT {
        let path = table.key(key);
        if checking.config.origins.at(&path).is_some_and(|node| node.json() != false) {
            checking.tell(&path, format!("{} keeps nothing: {why}", shown(broker)), help(instead));
        }
    }
}

fn shown(broker: &BrokerConfig) -> String {
    format!("the broker {:?} ({})", broker.name, broker.registration.name)
}

fn help(instead: &str) -> String {
    format!(
        "take it out; persist = true on the subscription copies its messages into the log as they come, and {instead} keeps them itself"
    )
}
