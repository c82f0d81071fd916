//! Names of topics and of the keys beside them. All keys of a topic share its slot, so that one script may touch them:
//! <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>.

/// What our own keys begin with.
pub(super) const OWN: &str = "longshore:";
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

/// The hash tag in a name: what stands between the first `{` and the first `}` behind it, if anything does.
fn tag(name: &str) -> Option<&str> {
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
