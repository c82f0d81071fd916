//! Two subscriptions of one group to one topic would take each other's messages; of a queue, two of any groups.

use super::Checking;
use crate::config::trusted::SubscriptionConfig;

pub(super) fn check(checking: &mut Checking<'_>) {
    names_in_jobs(checking);
    copied_twice(checking);
    two_on_a_queue(checking);
    let config = checking.config;
    let all: Vec<&SubscriptionConfig> = config.subscriptions().collect();
    for (i, second) in all.iter().enumerate() {
        for first in all[..i].iter().filter(|first| first.broker == second.broker && first.group == second.group) {
            let (Some(group), Some(topic)) = (&second.group, shared(first, second)) else { continue };
            let problem = format!("the group {group:?} gets {topic:?} twice, here and as {:?}", first.name);
            let mistake =
                config.mistake(&second.path, problem, "give this subscription a `group` of its own, or take the topic out of one");
            checking.tell_also(mistake, &checking.place(&first.path), "the other");
        }
    }
}

/// What one group takes from a queue, the other never sees.
fn two_on_a_queue(checking: &mut Checking<'_>) {
    let config = checking.config;
    let is_queue = |s: &&SubscriptionConfig| config.brokers.get(&s.broker).is_some_and(|broker| broker.registration.is_queue);
    let all: Vec<&SubscriptionConfig> = config.subscriptions().filter(is_queue).collect();
    for (i, second) in all.iter().enumerate() {
        for first in all[..i].iter().filter(|first| first.broker == second.broker && first.group != second.group) {
            let Some(topic) = shared(first, second) else { continue };
            let problem = format!("{topic:?} is a queue, which {:?} empties: what it takes, this subscription never sees", first.name);
            let help = "give each a queue of its own, or use a broker where every group gets everything, like redis-streams";
            let mistake = config.mistake(&second.path, problem, help);
            checking.tell_also(mistake, &checking.place(&first.path), "the other");
        }
    }
}

/// What one copies into the log, the other would copy there again.
fn copied_twice(checking: &mut Checking<'_>) {
    let config = checking.config;
    let all: Vec<&SubscriptionConfig> = config.subscriptions().filter(|s| s.copied.is_some()).collect();
    for (i, second) in all.iter().enumerate() {
        let of_one_copy = |first: &&&SubscriptionConfig| first.copied == second.copied && first.topics == second.topics;
        let other = |first: &&&SubscriptionConfig| !of_one_copy(first) && first.named_broker() == second.named_broker();
        for first in all[..i].iter().filter(other) {
            let Some(topic) = shared(first, second) else { continue };
            let problem = format!("{topic:?} is copied into the log twice, here and for {:?}", first.name);
            let help = "give both the same topics, patterns and group, or the mode \"broadcast\": then one copy serves both";
            let mistake = config.mistake(&second.path, problem, help);
            checking.tell_also(mistake, &checking.place(&first.path), "the other");
        }
    }
}

/// A job opens its subscriptions by their names.
fn names_in_jobs(checking: &mut Checking<'_>) {
    for job in checking.config.jobs.values() {
        for (i, second) in job.subscriptions.iter().enumerate() {
            if let Some(first) = job.subscriptions[..i].iter().find(|first| first.name == second.name) {
                let problem = format!("two subscriptions of this job are named {:?}", second.short_name());
                let mistake = checking.config.mistake(&second.path, problem, "give one of them a `name`; the job opens it by that");
                checking.tell_also(mistake, &checking.place(&first.path), "the other");
            }
        }
    }
}

/// A topic or pattern that both have.
fn shared<'a>(first: &'a SubscriptionConfig, second: &'a SubscriptionConfig) -> Option<&'a str> {
    let has = |s: &SubscriptionConfig, pattern: &longshore_core::Pattern| s.topics.contains(pattern) || s.consumes(pattern.as_str());
    let of_second = second.topics.iter().find(|pattern| has(first, pattern));
    of_second.or_else(|| first.topics.iter().find(|pattern| has(second, pattern))).map(longshore_core::Pattern::as_str)
}
