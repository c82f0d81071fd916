//! Names that work and will be regretted.

use super::mistake::Mistake;
use super::trusted::Config;

/// Names that say nothing about what is in the topic. A number behind them makes them no better.
const FLAT: [&str; 12] = ["event", "events", "data", "message", "messages", "queue", "topic", "test", "stuff", "items", "tasks", "input"];

/// Hints about names of topics, told like mistakes. None of them keeps a host from running.
pub fn hints(config: &Config) -> Vec<Mistake> {
    let topics = config.subscriptions().flat_map(|s| s.topics.iter().map(|topic| (topic.as_str(), &s.path)));
    let flat = topics.filter(|(topic, _)| is_flat(topic));
    let hint = |(topic, path): (&str, &super::KeyPath)| {
        let problem = format!("the name {topic:?} does not say what is in it");
        config.mistake(&path.key("topic"), problem, "name what happened, in levels, so that patterns can pick: user.events.created")
    };
    flat.map(hint).collect()
}

fn is_flat(topic: &str) -> bool {
    FLAT.contains(&topic.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '-' | '_')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_say_nothing_are_flat() {
        for flat in ["events", "data", "queue1", "topic-2"] {
            assert!(is_flat(flat), "{flat}");
        }
        for good in ["orders", "user.events.created", "events.created"] {
            assert!(!is_flat(good), "{good}");
        }
    }
}
