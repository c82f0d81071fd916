//! Where duplicates are to be told, something can remember what was done: the broker itself, or a store.

use std::time::Duration;

use longshore_core::{Delivery, Flag};

use super::Checking;
use crate::config::trusted::SubscriptionConfig;
use crate::config::unknown::did_you_mean;
use crate::inbox::InStore;

/// The longest window, and the longest lease.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

pub(super) fn check(checking: &mut Checking<'_>) {
    for subscription in checking.config.subscriptions() {
        if let Some((problem, help)) = mistake(checking, subscription) {
            checking.tell_of_policy(subscription, "dedup", problem, help);
        }
    }
}

fn mistake(checking: &Checking<'_>, subscription: &SubscriptionConfig) -> Option<(String, String)> {
    let (config, dedup) = (checking.config, subscription.dedup.as_ref()?);
    let broker = config.brokers.get(&subscription.broker)?;
    let shown = format!("the broker {:?} ({})", broker.name, broker.registration.name);
    if broker.registration.forgets.is_some() {
        let problem = format!("{shown} keeps nothing: what comes twice cannot be told from what comes once");
        return Some((problem, "take it out; persist = true on the subscription copies its messages into the log, which can".into()));
    }
    if subscription.delivery == Delivery::AtMostOnce {
        let problem = "a message is remembered once it is done, and with delivery = \"at-most-once\" it is acknowledged before its call";
        return Some((problem.into(), "take it out, or write delivery = \"at-least-once\"".into()));
    }
    if subscription.group.is_none() {
        let problem = "of a broadcast nothing is remembered: it ends with its subscriber";
        return Some((problem.into(), "take it out, or give the subscription a `group`".into()));
    }
    if dedup.times.window > LONGEST || dedup.times.lease > LONGEST {
        return Some(("nothing is remembered for longer than a year".into(), "write window = \"365d\", or less".into()));
    }
    if broker.registration.capabilities.has(Flag::DedupInbox) {
        let named = dedup.store.as_ref()?;
        let problem =
            format!("{shown} remembers what was done by itself, together with the acknowledgement: the store {named:?} is not used");
        return Some((problem, "take `store` out".into()));
    }
    let name = subscription.inbox_store(broker.registration.capabilities)?;
    // One that the file names: that which is there all the same is this host's alone, and another host would remember other things.
    let table = config.origins.tree.get("stores").and_then(|node| node.table());
    if table.is_some_and(|table| table.contains_key(name)) {
        let store = config.stores.get(name)?;
        let (key, value) = (store.max_key_size, store.max_value_size);
        return (key < InStore::KEY || value < InStore::VALUE).then(|| {
            let (least_key, least_value) = (InStore::KEY, InStore::VALUE);
            let problem = format!(
                "what is remembered has keys of {least_key} bytes and values of {least_value}, and the store {name:?} takes {key} (max-key-size) \
                 and {value} (max-value-size)"
            );
            (problem, "raise them in the store, or name another store".to_owned())
        });
    }
    let names: Vec<&str> = table.into_iter().flat_map(|table| table.keys()).map(String::as_str).collect();
    let help = match (names.is_empty(), &dedup.store) {
        (true, _) => format!("add [stores.{name}] with type = \"redis\" or \"nats\", or \"embedded\" for one host"),
        (false, Some(_)) => did_you_mean(name, &names),
        (false, None) => format!("name one: dedup.store = {:?}, or add [stores.default]", names[0]),
    };
    Some((format!("{shown} does not remember what was done, and there is no store {name:?} to do it"), help))
}
