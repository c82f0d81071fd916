//! Dead letters must not come back to who gave them up.

use longshore_core::Pattern;

use super::Checking;
use crate::config::trusted::SubscriptionConfig;

pub(super) fn check(checking: &mut Checking<'_>) {
    let all: Vec<&SubscriptionConfig> = checking.config.subscriptions().collect();
    for (index, subscription) in all.iter().enumerate() {
        let topics = subscription.topics.iter().flat_map(samples);
        let Some(way) = topics.into_iter().find_map(|topic| way_back(&all, index, &topic)) else { continue };
        let problem = format!("dead letters come back to where they failed: {}", way.join(" -> "));
        let help = "name another topic: dead-letter = { topic = \"dead.{topic}.{group}\" }, or write dead-letter = false";
        checking.tell_of_policy(subscription, "dead-letter", problem, help);
    }
}

/// Topics that stand for all that a pattern means: itself, or names of different depth.
fn samples(pattern: &Pattern) -> Vec<String> {
    let text = pattern.as_str();
    if !pattern.is_wild() {
        return vec![text.into()];
    }
    let levels = |rest: &str| {
        let named = text.split('.').map(|level| match level {
            "**" => rest,
            "*" => "x",
            level => level,
        });
        named.collect::<Vec<_>>().join(".")
    };
    vec![levels("x"), levels("x.x")]
}

/// The topics from `topic`, given up by the subscription at `index`, back to itself: along dead letters alone. `None` where they end elsewhere.
fn way_back(all: &[&SubscriptionConfig], index: usize, topic: &str) -> Option<Vec<String>> {
    let first = destination(all[index], topic)?;
    let mut open = vec![(first.clone(), vec![topic.to_owned(), first])];
    let mut seen = vec![false; all.len()];
    while let Some((at, way)) = open.pop() {
        for (i, other) in all.iter().enumerate().filter(|(_, s)| s.broker == all[index].broker && s.consumes(&at)) {
            if i == index {
                return Some(way);
            }
            if !std::mem::replace(&mut seen[i], true)
                && let Some(next) = destination(other, &at)
            {
                open.push((next.clone(), way.iter().cloned().chain([next]).collect()));
            }
        }
    }
    None
}

fn destination(subscription: &SubscriptionConfig, topic: &str) -> Option<String> {
    subscription.dead_letter.destination(topic, subscription.group.as_deref().unwrap_or(&subscription.handler))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_tried_with_names_of_different_depth() {
        let check = |pattern: &str, expected: &[&str]| assert_eq!(samples(&Pattern::new(pattern).expect("good")), expected);
        check("orders", &["orders"]);
        check("a.*.b", &["a.x.b", "a.x.b"]);
        check("a.**", &["a.x", "a.x.x"]);
        check("**", &["x", "x.x"]);
    }
}
