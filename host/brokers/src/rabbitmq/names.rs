//! Names of queues, and the tiers in which retries and delayed messages wait. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

/// Longest name of a topic or group, bytes: what is put behind it has to fit into the 255 that AMQP allows.
pub(super) const LONGEST: usize = 100;
/// Times to live of the queues in which messages wait, milliseconds. A delay is rounded up to one of them; those that a retry policy
/// can need are made with its subscription, others when they are needed.
const TIERS: [(u64, &str); 26] = [
    (10, "10ms"),
    (20, "20ms"),
    (50, "50ms"),
    (100, "100ms"),
    (200, "200ms"),
    (500, "500ms"),
    (1_000, "1s"),
    (2_000, "2s"),
    (5_000, "5s"),
    (10_000, "10s"),
    (20_000, "20s"),
    (30_000, "30s"),
    (60_000, "1m"),
    (120_000, "2m"),
    (300_000, "5m"),
    (600_000, "10m"),
    (1_200_000, "20m"),
    (1_800_000, "30m"),
    (3_600_000, "1h"),
    (7_200_000, "2h"),
    (18_000_000, "5h"),
    (43_200_000, "12h"),
    (86_400_000, "1d"),
    (172_800_000, "2d"),
    (604_800_000, "7d"),
    (2_592_000_000, "30d"),
];
/// Prefix of addresses that RabbitMQ makes for answers to requests: <https://www.rabbitmq.com/docs/direct-reply-to>.
pub(super) const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// A time that messages wait in a queue of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tier(usize);

impl Tier {
    /// The shortest tier that is not shorter than `delay`; `None` where there is no delay. Nothing waits longer than the longest tier.
    pub(super) fn of(delay: Duration) -> Option<Self> {
        let wanted = u64::try_from(delay.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        (wanted > 0).then(|| Tier(TIERS.iter().position(|(millis, _)| *millis >= wanted).unwrap_or(TIERS.len() - 1)))
    }

    /// The tiers of all delays that are each between a shortest and a longest.
    pub(super) fn of_all(delays: &[(Duration, Duration)]) -> BTreeSet<Tier> {
        let between = |(shortest, longest): &(Duration, Duration)| {
            let last = Tier::of(*longest).map_or(0, |tier| tier.0 + 1);
            Tier::of(*shortest).map_or(0, |tier| tier.0)..last
        };
        delays.iter().flat_map(between).map(Tier).collect()
    }

    pub(super) fn all() -> impl Iterator<Item = Tier> {
        (0..TIERS.len()).map(Tier)
    }

    /// Milliseconds that messages stay.
    pub(super) fn millis(self) -> u64 {
        TIERS[self.0].0
    }

    /// The queue in which messages wait that go to `queue` afterwards.
    pub(super) fn queue(self, queue: &str) -> String {
        format!("{queue}.retry.{}", TIERS[self.0].1)
    }
}

/// The queue of a group on an exchange.
pub(super) fn group_queue(topic: &str, group: &str) -> String {
    format!("{topic}.{group}")
}

/// Why no topic can have that name.
pub(super) fn check(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > LONGEST || name.chars().any(char::is_control) {
        return Err(format!("{what} {name:?} cannot be a queue: write 1 to {LONGEST} bytes without control characters"));
    }
    if name.starts_with("amq.") {
        return Err(format!("{what} {name:?} begins with \"amq.\", which RabbitMQ keeps for itself"));
    }
    Ok(())
}

/// The same for a name to publish to: no pattern.
pub(super) fn check_topic(name: &str) -> Result<(), String> {
    check("topic", name)?;
    if name.contains(['*', '#']) {
        return Err(format!("topic {name:?} is a pattern: messages go to one topic"));
    }
    Ok(())
}

/// The binding key of a pattern: `**` is one level or more, `#` is none or more.
pub(super) fn binding_key(pattern: &str) -> String {
    match pattern.strip_suffix("**") {
        Some(rest) => format!("{rest}*.#"),
        None => pattern.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_never_shorter_than_the_delay() {
        assert_eq!(Tier::of(Duration::ZERO), None);
        for micros in [1u64, 999, 1_000, 10_000, 10_001, 77_000, 1_000_000, 61_000_000, 2_592_000_000_000] {
            let tier = Tier::of(Duration::from_micros(micros)).expect("a delay");
            assert!(tier.millis() * 1000 >= micros, "{micros} us became {} ms", tier.millis());
        }
        let between = |from: u64, to: u64| {
            let delay = (Duration::from_millis(from), Duration::from_millis(to));
            Tier::of_all(&[delay, delay]).into_iter().map(Tier::millis).collect::<Vec<_>>()
        };
        assert_eq!((between(0, 0), between(200, 220), between(60, 90)), (vec![], vec![200, 500], vec![100]));
        assert_eq!(Tier::of(Duration::from_secs(3)).map(|tier| tier.queue("q")), Some("q.retry.5s".into()));
    }

    #[test]
    fn tiers_ascend_and_have_names_of_their_own() {
        assert!(TIERS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let names: std::collections::BTreeSet<_> = Tier::all().map(|tier| tier.queue("q")).collect();
        assert_eq!(names.len(), TIERS.len());
        // `x-message-ttl` is 32 bits.
        assert!(Tier::all().all(|tier| tier.millis() <= u64::from(u32::MAX)));
    }

    #[test]
    fn patterns_become_binding_keys() {
        let pairs = [("user.*", "user.*"), ("user.**", "user.*.#"), ("**", "*.#"), ("orders", "orders")];
        pairs.into_iter().for_each(|(pattern, key)| assert_eq!(binding_key(pattern), key));
    }
}
