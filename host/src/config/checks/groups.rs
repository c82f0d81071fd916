//! Two subscriptions of one group to one topic would take each other's messages.

use super::Checking;
use crate::config::trusted::SubscriptionConfig;

pub(super) fn check(checking: &mut Checking<'_>) {
    names_in_jobs(checking);
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
