//! Nothing is asked to take effect exactly once whose effects are beyond the transactions of its broker.

use longshore_core::Flag;

use super::Checking;
use crate::config::trusted::{Config, SubscriptionConfig};

pub(super) fn check(checking: &mut Checking<'_>) {
    let config = checking.config;
    for subscription in config.subscriptions().filter(|subscription| is_once(config, subscription)) {
        let (name, broker) = (&subscription.name, &subscription.broker);
        let registration = config.brokers.get(broker).map(|broker| broker.registration);
        if let Some(store) = registration.and_then(|kind| subscription.inbox_store(kind.capabilities)) {
            let problem = format!(
                "{name} is to take effect exactly once, and no transaction of the broker {broker:?} covers the store {store:?}, which is to \
                 remember what was done"
            );
            let help = "take `dedup` out, or take `exactly-once` out: copies that their producer made are told by one, what comes again by the other";
            checking.tell_of_policy(subscription, "dedup", problem, help.to_owned());
        }
        let help = format!("publish to topics of {broker:?} alone, or take `exactly-once` out");
        match config.handlers.get(&subscription.handler) {
            Some(handler) => {
                for grant in handler.publish.iter().filter(|grant| grant.broker != *broker) {
                    let problem = format!(
                        "{name} is to take effect exactly once, and no transaction of the broker {broker:?} covers the broker {:?}",
                        grant.broker
                    );
                    checking.tell(&grant.path, problem, help.clone());
                }
            }
            None => {
                let problem = "a job publishes what it publishes at once: nothing of it is in a transaction with what it consumes";
                checking.tell(&subscription.path.key("exactly-once"), problem, "take it out, or let a handler do the work");
            }
        }
    }
}

/// Whether a round is a transaction that is there once. Where the host is the broker's own process it is without being asked for.
fn is_once(config: &Config, subscription: &SubscriptionConfig) -> bool {
    let registration = config.brokers.get(&subscription.broker).map(|broker| broker.registration);
    registration.is_some_and(|kind| kind.fences && kind.capabilities_for(&subscription.own).has(Flag::Transactions))
}
