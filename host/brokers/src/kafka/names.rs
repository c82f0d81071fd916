//! Names of topics and groups, and the tiers in which retries wait. Pure.

use std::time::Duration;

/// Longest name of a topic, bytes.
const LONGEST: usize = 249;
/// Tiers of retry topics, seconds. A retry waits in the shortest that is not shorter than its delay, so it waits behind none that is due much
/// later; nothing but the last has anything beyond its time.
const TIERS: [(u64, &str); 9] =
    [(1, "1s"), (10, "10s"), (60, "1m"), (600, "10m"), (3_600, "1h"), (21_600, "6h"), (86_400, "1d"), (604_800, "7d"), (2_592_000, "30d")];

/// A class of delays, whose retries wait in a topic of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Tier(u8);

impl Tier {
    /// The shortest, which also has what is to come at once.
    pub(super) const FIRST: Tier = Tier(0);

    /// The tier for a delay.
    pub(super) fn of(delay: Duration) -> Self {
        let at = TIERS.iter().position(|(seconds, _)| Duration::from_secs(*seconds) >= delay).unwrap_or(TIERS.len() - 1);
        Tier(u8::try_from(at).expect("there are few"))
    }

    /// The tiers of all delays from `shortest` to `longest`.
    pub(super) fn between(shortest: Duration, longest: Duration) -> impl Iterator<Item = Tier> {
        (Tier::of(shortest).0..=Tier::of(longest).0).map(Tier)
    }

    pub(super) fn all() -> impl Iterator<Item = Tier> {
        (0..).take(TIERS.len()).map(Tier)
    }

    /// That of a number.
    pub(super) fn numbered(number: u8) -> Option<Self> {
        (usize::from(number) < TIERS.len()).then_some(Tier(number))
    }

    /// Its number, from 0.
    pub(super) fn number(self) -> u8 {
        self.0
    }

    /// Its time.
    pub(super) fn span(self) -> Duration {
        Duration::from_secs(TIERS[usize::from(self.0)].0)
    }

    /// The topic in which a group's retries of `topic` wait.
    pub(super) fn topic(self, topic: &str, group: &str) -> String {
        format!("{topic}.{group}.retry.{}", TIERS[usize::from(self.0)].1)
    }
}

/// Whether a topic looks like one of retries: no pattern means it.
pub(super) fn is_retries(topic: &str) -> bool {
    topic.rsplit_once(".retry.").is_some_and(|(_, tier)| TIERS.iter().any(|(_, name)| *name == tier))
}

/// Whether a topic is the server's own.
pub(super) fn is_internal(topic: &str) -> bool {
    topic.starts_with("__")
}

/// Why no topic can have that name.
pub(super) fn check_topic(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > LONGEST || !name.chars().all(fits) || matches!(name, "." | "..") {
        let rule = "Kafka takes 1 to 249 letters, digits, dots, underscores and dashes";
        return Err(format!("topic {name:?} is no name of a topic: {rule}"));
    }
    Ok(())
}

/// Why no group can have that name on that topic: its topics for retries are named after both.
pub(super) fn check_group(group: &str, topic: &str) -> Result<(), String> {
    let longest = Tier::all().map(|tier| tier.topic(topic, group)).max_by_key(String::len).unwrap_or_default();
    match check_topic(&longest) {
        Ok(()) if !group.is_empty() => Ok(()),
        _ => Err(format!("group {group:?} gives its retries the topic {longest:?}, which is no name of a topic")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_the_shortest_that_is_not_shorter_than_the_delay() {
        let check = |millis: u64, expected: &str| {
            assert_eq!(Tier::of(Duration::from_millis(millis)).topic("t", "g"), format!("t.g.retry.{expected}"), "{millis} ms");
        };
        check(0, "1s");
        check(1_000, "1s");
        check(1_001, "10s");
        check(60_000, "1m");
        check(86_400_001, "7d");
        check(u64::MAX, "30d");
    }

    #[test]
    fn tiers_ascend_and_have_numbers() {
        assert!(TIERS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(Tier::all().map(|tier| tier.number()).eq(0..9));
    }

    #[test]
    fn topics_of_retries_are_known() {
        for tier in Tier::all() {
            assert!(is_retries(&tier.topic("orders", "billing")));
        }
        for other in ["orders", "orders.retry", "orders.retry.soon", "retry.1s"] {
            assert!(!is_retries(other), "{other}");
        }
    }

    #[test]
    fn names_that_kafka_does_not_take_are_refused() {
        for good in ["orders", "a.b-c_d", "A1"] {
            assert_eq!(check_topic(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a*", "a/b", "ü", &"x".repeat(250)] {
            assert!(check_topic(bad).is_err(), "{bad}");
        }
        assert_eq!(check_group("billing", "orders"), Ok(()));
        assert!(check_group("a group", "orders").is_err());
        assert!(check_group("", "orders").is_err());
        assert!(check_group("g", &"x".repeat(240)).is_err(), "its topic of retries would be too long");
    }
}
