//! Names of topics that a broker could never have, found before the first message: those that are read, and those of dead letters.

use longshore_core::Pattern;

use super::Checking;
use crate::config::trusted::SubscriptionConfig;

pub(super) fn check(checking: &mut Checking<'_>) {
    let config = checking.config;
    for subscription in config.subscriptions() {
        let Some(broker) = config.brokers.get(&subscription.broker) else { continue };
        let refused = |name: &str| (broker.registration.check_topic)(name).err();
        let bad: Vec<String> = subscription.topics.iter().filter(|t| !t.is_wild()).filter_map(|t| refused(t.as_str())).collect();
        if bad.is_empty() {
            dead_letters(checking, subscription, &refused);
        }
        bad.into_iter().for_each(|why| checking.tell(&subscription.path.key("topic"), why, "give it another name"));
    }
}

/// The dead-letter topic of each topic, made as it will be made. A name that is refused then would hold its messages for ever.
fn dead_letters(checking: &mut Checking<'_>, subscription: &SubscriptionConfig, refused: &dyn Fn(&str) -> Option<String>) {
    let group = subscription.group.as_deref().unwrap_or(&subscription.handler);
    for topic in &subscription.topics {
        let Some(made) = subscription.dead_letter.destination(&an_example(topic), group) else { return };
        // A name that is no pattern is told by the check of the template.
        if let Some(why) = Some(&made).filter(|m| Pattern::new(m).is_ok()).and_then(|m| refused(m)) {
            let help = "name the group differently, or set dead-letter = { topic = \"…\" }; `{topic}` and `{group}` stand for theirs";
            checking.tell_of_policy(subscription, "dead-letter", format!("its dead letters could not be kept: {why}"), help);
            return;
        }
    }
}

/// A topic that the pattern means.
fn an_example(topic: &Pattern) -> String {
    topic.as_str().split('.').map(|level| if level.contains('*') { "x" } else { level }).collect::<Vec<_>>().join(".")
}
