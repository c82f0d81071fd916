//! Names of topics and of the keys beside them. All keys of a topic share its slot, so that one script may touch them:
//! <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>.

use std::sync::atomic::{AtomicU64, Ordering};

/// What our own keys begin with.
pub(super) const OWN: &str = "longshore:";
/// Kind of the hash beside a list that says that there is a queue.
#[cfg(feature = "redis-list")]
pub(super) const QUEUE: &str = "queue";
/// Seconds for which what was done to a topic is remembered, for whoever finds out late.
#[cfg(any(feature = "redis-list", feature = "redis-streams"))]
pub(super) const REMEMBER: u64 = 24 * 3600;
/// Longest topic name, bytes.
const MAX_NAME: usize = 512;

/// Refuses a name that no topic can have: levels separated by dots, none empty, no wildcards, no white space, hash tags whole.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let bad = |what: &str| Err(format!("topic {name:?} {what}"));
    if name.is_empty() || name.split('.').any(str::is_empty) {
        return bad("has an empty level; write names like orders.created");
    }
    if name.starts_with(OWN) {
        return bad("begins with longshore:, as keys do that the host keeps for itself");
    }
    if name.len() > MAX_NAME {
        return bad("is longer than 512 bytes");
    }
    if name.contains('*') {
        return bad("has a `*`, which is for patterns only");
    }
    if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return bad("has white space or a control character");
    }
    if tag(name).is_none() && name.contains(['{', '}']) {
        return bad("has a brace without a hash tag; write names like {orders}.created");
    }
    Ok(())
}

/// The key of that kind beside a topic, in the topic's slot.
pub(super) fn beside(topic: &str, kind: &str) -> String {
    format!("{OWN}{{{}}}:{kind}:{topic}", tag(topic).unwrap_or(topic))
}

/// The key of that kind beside a topic for one of its groups.
pub(super) fn of_group(topic: &str, kind: &str, group: &str) -> String {
    format!("{}:{group}", beside(topic, kind))
}

/// The key, in the topic's slot, that says that a dead letter of another slot was given back.
pub(super) fn redriven(topic: &str, grave: &str, letter: &str) -> String {
    format!("{}:{grave}/{letter}", beside(topic, "redriven"))
}

/// A name that no consumer has: of this process, and of nobody after it.
pub(super) fn new_consumer() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut random = [0; 6];
    // Without randomness the process id and the count tell consumers of one machine apart.
    let _ = getrandom::fill(&mut random);
    let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("longshore-{}-{random}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The topic that a key of that kind stands beside.
#[cfg(feature = "redis-list")]
pub(super) fn topic_of<'k>(key: &'k str, kind: &str) -> Option<&'k str> {
    let infix = format!(":{kind}:");
    // A tag may have the same letters in it: the key that is made of the answer tells.
    key.match_indices(&infix).map(|(at, _)| &key[at + infix.len()..]).find(|topic| beside(topic, kind) == key)
}

/// The hash tag in a name: what stands between the first `{` and the first `}` behind it, if anything does.
pub(super) fn tag(name: &str) -> Option<&str> {
    let (_, rest) = name.split_once('{')?;
    let (tag, _) = rest.split_once('}')?;
    (!tag.is_empty()).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_beside_a_topic_have_its_hash_tag() {
        assert_eq!(beside("orders", "due"), "longshore:{orders}:due:orders");
        assert_eq!(of_group("{shop}.orders", "due", "g"), "longshore:{shop}:due:{shop}.orders:g");
    }

    #[cfg(feature = "redis-list")]
    #[test]
    fn a_key_beside_a_topic_tells_the_topic() {
        for topic in ["orders", "{shop}.orders", "a:queue:b", "{:queue:}.x:queue:y"] {
            assert_eq!(topic_of(&beside(topic, QUEUE), QUEUE), Some(topic));
        }
        assert_eq!(topic_of("longshore:{a}:queue:b", QUEUE), None);
    }

    #[test]
    fn names_are_levels_without_wildcards_and_with_whole_tags() {
        for good in ["orders", "orders.eu:created", "{shop}.orders", "a/b", "größe"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "a..b", "a.*", "a b", "longshore:x", "a}b", "a{b", "{}.x", &"x".repeat(513)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
