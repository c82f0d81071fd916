//! Nothing is asked of a broker that it cannot do.

use longshore_core::{Capabilities, Delivery, Flag, Order, Start};

use super::Checking;
use crate::config::path::KeyPath;
use crate::config::trusted::{BrokerConfig, PublishConfig, SubscriptionConfig};

pub(super) fn check(checking: &mut Checking<'_>) {
    let config = checking.config;
    for subscription in config.subscriptions() {
        if let Some(broker) = config.brokers.get(&subscription.broker) {
            for demand in demands(subscription, checking).into_iter().filter(|d| !broker.registration.capabilities.has(d.flag)) {
                tell(checking, broker, &demand);
            }
            without_meaning(checking, broker, subscription);
        }
        if let Some(broker) = config.brokers.get(subscription.named_broker()) {
            copied(checking, broker, subscription);
            refused(checking, broker, subscription);
        }
    }
    let grants = config.handlers.values().flat_map(|h| &h.publish).chain(config.jobs.values().flat_map(|j| &j.publish));
    for grant in grants {
        published(checking, grant);
    }
}

/// Something that is asked for, and what to do where it cannot be had.
struct Demand {
    path: KeyPath,
    flag: Flag,
    what: String,
    instead: &'static str,
}

/// What a subscription asks for.
fn demands(subscription: &SubscriptionConfig, checking: &Checking<'_>) -> Vec<Demand> {
    let path = &subscription.path;
    let written = |key: &str| checking.config.origins.at(&path.key(key)).is_some();
    let mut demands = Vec::new();
    let mut ask = |wanted: bool, key: &str, flag: Flag, what: String, instead: &'static str| {
        if wanted {
            demands.push(Demand { path: path.key(key), flag, what, instead });
        }
    };
    ask(true, "broker", Flag::Subscribe, "consuming".into(), "consume from another broker");
    let asked_for_group = subscription.group.is_some() && (written("group") || written("mode"));
    ask(asked_for_group, "group", Flag::ConsumerGroups, "groups".into(), "take the key out, or write mode = \"broadcast\"");
    let broadcast = subscription.group.is_none();
    let is_queue = checking.config.brokers.get(&subscription.broker).is_some_and(|broker| broker.registration.is_queue);
    let instead = if is_queue { "write mode = \"queue\"" } else { "give each host a group of its own" };
    ask(broadcast, "mode", Flag::Broadcast, "mode = \"broadcast\"".into(), instead);
    let ordered = subscription.order != Order::None;
    let order = if subscription.order == Order::Key { "key" } else { "lane" };
    ask(ordered, "order", Flag::MessageOrdering, format!("order = {order:?}"), "it can do order = \"none\"");
    let wild = subscription.topics.iter().any(longshore_core::Pattern::is_wild);
    ask(wild, "patterns", Flag::Patterns, "patterns".into(), "list the topics under `topic`");
    let replayed = matches!(subscription.start, Start::Time(_) | Start::Position(_));
    ask(replayed, "start", Flag::Replay, "a start at a time or position".into(), "write \"earliest\" or \"latest\"");
    let kept = subscription.delivery == Delivery::AtLeastOnce;
    ask(kept && written("delivery"), "delivery", Flag::AckNack, "delivery = \"at-least-once\"".into(), "it can do \"at-most-once\"");
    ask(kept && written("retry"), "retry", Flag::AckNack, "retries".into(), "take `retry` out: what fails there is gone");
    demands
}

/// Keys that the broker's own way makes meaningless.
fn without_meaning(checking: &mut Checking<'_>, broker: &BrokerConfig, subscription: &SubscriptionConfig) {
    let (path, has) = (&subscription.path, broker.registration.capabilities);
    let written = |path: &KeyPath| checking.config.origins.at(path).is_some();
    let wait = path.key("fetch").key("max-wait");
    if has.has(Flag::BlockingRead) && broker.registration.max_wait.is_none() && written(&wait) {
        let problem =
            format!("the broker {:?} ({}) wakes its readers by itself: nobody waits for it", broker.name, broker.registration.name);
        checking.tell(&wait, problem, "take it out; batch.max-wait is how long a batch may wait for more messages");
    }
    if subscription.delivery == Delivery::AtMostOnce && broker.registration.acks_blindly {
        let problem = format!(
            "the broker {:?} ({}) takes an acknowledgement from whoever sends it: a host that was stopped for longer than its lease would \
             call once more what another has called",
            broker.name, broker.registration.name
        );
        checking.tell(&path.key("delivery"), problem, "write \"at-least-once\", or keep the topic on another broker");
    }
    let retry = path.key("retry");
    // Where nothing is kept, that has been told.
    if subscription.delivery == Delivery::AtMostOnce && broker.registration.forgets.is_none() && written(&retry) {
        let problem = "with delivery = \"at-most-once\" nothing is tried again: what fails is given up at once";
        checking.tell(&retry, problem, "take it out, or write delivery = \"at-least-once\"");
    }
    let start = path.key("start");
    if subscription.group.is_none() && has.has(Flag::ConsumerGroups) && subscription.start != Start::Latest && written(&start) {
        checking.tell(&start, "a broadcast begins with what comes from now on", "take it out, or read with a group of your own");
    }
}

/// What is asked of a broker whose messages are copied.
fn copied(checking: &mut Checking<'_>, broker: &BrokerConfig, subscription: &SubscriptionConfig) {
    let Some(copied) = &subscription.copied else { return };
    let wild = subscription.topics.iter().any(longshore_core::Pattern::is_wild);
    let asked = [
        (true, "broker", Flag::Subscribe, "consuming", "consume from another broker"),
        (wild, "patterns", Flag::Patterns, "patterns", "list the topics under `topic`"),
        (copied.group.is_some(), "group", Flag::ConsumerGroups, "groups", "take the key out, or write mode = \"broadcast\""),
    ];
    for (_, key, flag, what, instead) in
        asked.into_iter().filter(|(asked, _, flag, ..)| *asked && !broker.registration.capabilities.has(*flag))
    {
        tell(checking, broker, &Demand { path: subscription.path.key(key), flag, what: what.into(), instead });
    }
}

/// Keys that the adapter itself refuses.
fn refused(checking: &mut Checking<'_>, broker: &BrokerConfig, subscription: &SubscriptionConfig) {
    // Keys that cannot be read have been told.
    let subscribe = match &subscription.copied {
        Some(copied) => subscription.subscribe_to_copy(copied),
        None => subscription.subscribe(),
    };
    for refused in (broker.registration.check_subscription)(&subscribe).unwrap_or_default() {
        let problem = format!("the broker {:?} ({}): {}", broker.name, broker.registration.name, refused.problem);
        checking.tell(&subscription.path.key(refused.key), problem, refused.help);
    }
}

fn published(checking: &mut Checking<'_>, grant: &PublishConfig) {
    if let Some(broker) = checking.config.brokers.get(&grant.broker)
        && !broker.registration.capabilities.has(Flag::Publish)
    {
        let demand =
            Demand { path: grant.path.clone(), flag: Flag::Publish, what: "publishing".into(), instead: "publish to another broker" };
        tell(checking, broker, &demand);
    }
}

fn tell(checking: &mut Checking<'_>, broker: &BrokerConfig, demand: &Demand) {
    let Demand { path, flag, what, instead } = demand;
    let problem = format!("the broker {:?} ({}) cannot do {what}: it lacks `{flag}`", broker.name, broker.registration.name);
    let others = others(checking, *flag);
    let help = if others.is_empty() { (*instead).to_owned() } else { format!("{instead}; {} has it", others.join(", ")) };
    checking.tell(path, problem, help);
}

/// Configured brokers that can do it.
fn others(checking: &Checking<'_>, flag: Flag) -> Vec<String> {
    let wanted = Capabilities::of(&[flag]);
    let able = checking.config.brokers.values().filter(|broker| broker.registration.capabilities.has_all(wanted));
    able.map(|broker| format!("{:?}", broker.name)).collect()
}
