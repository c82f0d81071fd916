//! Two subscriptions of one group to one topic would take each other's messages; of a queue, two of any groups.

use super::Checking;
use crate::config::trusted::SubscriptionConfig;

/// What is wrong with two subscriptions, and what helps.
type Collision = (String, &'static str);

pub(super) fn check(checking: &mut Checking<'_>) {
    names_in_jobs(checking);
    let config = checking.config;
    let is_queue = |s: &SubscriptionConfig| config.brokers.get(&s.broker).is_some_and(|broker| broker.registration.is_queue);
    let (all, copied): (Vec<_>, Vec<_>) =
        (config.subscriptions().collect(), config.subscriptions().filter(|s| s.copied.is_some()).collect());
    let queues: Vec<_> = config.subscriptions().filter(|s| is_queue(s)).collect();
    each_two(checking, &copied, copied_twice);
    each_two(checking, &queues, two_on_a_queue);
    each_two(checking, &all, one_group_twice);
}

/// Tells of each two that collide, at the second of them.
fn each_two(
    checking: &mut Checking<'_>,
    all: &[&SubscriptionConfig],
    collision: fn(&SubscriptionConfig, &SubscriptionConfig) -> Option<Collision>,
) {
    for (i, second) in all.iter().enumerate() {
        for first in &all[..i] {
            if let Some((problem, help)) = collision(first, second) {
                let mistake = checking.config.mistake(&second.path, problem, help);
                checking.tell_also(mistake, &checking.place(&first.path), "the other");
            }
        }
    }
}

fn one_group_twice(first: &SubscriptionConfig, second: &SubscriptionConfig) -> Option<Collision> {
    if first.broker != second.broker || first.group != second.group {
        return None;
    }
    let (group, topic) = (second.group.as_ref()?, shared(first, second)?);
    let problem = format!("the group {group:?} gets {topic:?} twice, here and as {:?}", first.name);
    Some((problem, "give this subscription a `group` of its own, or take the topic out of one"))
}

/// What one group takes from a queue, the other never sees.
fn two_on_a_queue(first: &SubscriptionConfig, second: &SubscriptionConfig) -> Option<Collision> {
    if first.broker != second.broker || first.group == second.group {
        return None;
    }
    let topic = shared(first, second)?;
    let problem = format!("{topic:?} is a queue, which {:?} empties: what it takes, this subscription never sees", first.name);
    Some((problem, "give each a queue of its own, or use a broker where every group gets everything, like redis-streams"))
}

/// What one copies into the log, the other would copy there again.
fn copied_twice(first: &SubscriptionConfig, second: &SubscriptionConfig) -> Option<Collision> {
    let of_one_copy = first.copied == second.copied && first.topics == second.topics;
    if of_one_copy || first.named_broker() != second.named_broker() {
        return None;
    }
    let topic = shared(first, second)?;
    let problem = format!("{topic:?} is copied into the log twice, here and for {:?}", first.name);
    Some((problem, "give both the same topics, patterns and group, or the mode \"broadcast\": then one copy serves both"))
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
