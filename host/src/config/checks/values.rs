//! Values that do not go together.

use longshore_core::Batching;

use super::Checking;
use crate::config::elements::Mode;
use crate::config::trusted::{PublishConfig, SubscriptionConfig};

pub(super) fn check(checking: &mut Checking<'_>) {
    let config = checking.config;
    for subscription in config.subscriptions() {
        in_flight(checking, subscription);
        waits(checking, subscription);
        broadcast_group(checking, subscription);
        dead_letter_topic(checking, subscription);
    }
    config.handlers.values().for_each(|handler| one_meaning(checking, &handler.publish));
    config.jobs.values().for_each(|job| one_meaning(checking, &job.publish));
}

/// A full batch must fit into what may be held.
fn in_flight(checking: &mut Checking<'_>, subscription: &SubscriptionConfig) {
    let held = subscription.max_in_flight;
    if let Batching::Fixed { max_messages, .. } = subscription.batching
        && held < max_messages
    {
        let problem = format!("a batch of {max_messages} never fills: at most {held} messages are held");
        let help = format!("raise max-in-flight to {max_messages}, or lower batch.max-messages");
        checking.tell_of_policy(subscription, "max-in-flight", problem, help);
    }
}

fn waits(checking: &mut Checking<'_>, subscription: &SubscriptionConfig) {
    let retry = &subscription.retry;
    if retry.initial_delay > retry.max_delay {
        let (initial, cap) = (humantime::format_duration(retry.initial_delay), humantime::format_duration(retry.max_delay));
        let problem = format!("initial-delay is {initial}, above max-delay, which is {cap}");
        checking.tell_of_policy(subscription, "retry", problem, "raise max-delay, or lower initial-delay");
    }
}

fn broadcast_group(checking: &mut Checking<'_>, subscription: &SubscriptionConfig) {
    let entry = checking.config.origins.at(&subscription.path);
    let has = |key: &str| entry.is_some_and(|entry| entry.get(key).is_some());
    if subscription.group.is_none() && has("group") {
        let mode = serde_json::to_value(Mode::Broadcast).unwrap_or_default();
        let help = "take `group` out, or write mode = \"queue\"";
        checking.tell(&subscription.path.key("group"), format!("there are no groups with mode = {mode}"), help);
    }
}

/// A name that a guest says means one topic of one broker.
fn one_meaning(checking: &mut Checking<'_>, grants: &[PublishConfig]) {
    for (i, second) in grants.iter().enumerate() {
        let same =
            |first: &&PublishConfig| first.said() == second.said() && (first.broker != second.broker || first.topics != second.topics);
        if let Some(first) = grants[..i].iter().find(same) {
            let problem = format!("{:?} means two things, on {} and on {}", second.said(), first.broker, second.broker);
            let mistake =
                checking.config.mistake(&second.path, problem, "give one of them a name of its own: { topic = \"…\", as = \"…\" }");
            checking.tell_also(mistake, &checking.place(&first.path), "the other");
        }
    }
}

/// The braces of a template are known ones, and what it makes is a name.
fn dead_letter_topic(checking: &mut Checking<'_>, subscription: &SubscriptionConfig) {
    let Some(made) = subscription.dead_letter.destination("a", "b") else { return };
    let help = "use {topic} and {group}, letters and dots: \"{topic}.{group}.dlq\"";
    if made.contains(['{', '}', '*']) {
        let template = subscription.dead_letter.topic.as_deref().unwrap_or_default();
        checking.tell_of_policy(subscription, "dead-letter", format!("{template:?} makes no name of a topic"), help);
    } else if let Err(error) = longshore_core::Pattern::new(&made) {
        checking.tell_of_policy(subscription, "dead-letter", error.to_string(), help);
    }
}
