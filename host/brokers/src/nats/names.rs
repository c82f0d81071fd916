//! Names: which topics are subjects, what a pattern means to the server, what streams and consumers are called. Pure.

use longshore_core::Pattern;

/// Longest topic name, bytes. The server's bound is that of a protocol line, 4 KiB.
const MAX_NAME: usize = 255;
/// Subjects that are the server's own, and where replies go.
const RESERVED: [&str; 3] = ["$", "_INBOX.", "longshore-retries."];

/// Where replies go. The client's default prefix.
pub(super) const INBOX: &str = "_INBOX.";

/// Refuses a name that is no subject of a message.
pub(super) fn check_topic(name: &str) -> Result<(), String> {
    let bad = |what: &str| Err(format!("topic {name:?} {what}"));
    if name.is_empty() || name.split('.').any(str::is_empty) {
        return bad("has an empty level; write names like orders.created");
    }
    if RESERVED.iter().any(|prefix| name.starts_with(prefix)) {
        return bad("begins like a subject of NATS itself or of Longshore's retries");
    }
    if name.len() > MAX_NAME {
        return bad("is longer than 255 bytes");
    }
    if name.contains(['*', '>']) {
        return bad("has a `*` or a `>`, which are for patterns only");
    }
    if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return bad("has white space or a control character");
    }
    Ok(())
}

/// Whether a subject is somebody's inbox.
pub(super) fn is_inbox(subject: &str) -> bool {
    subject.starts_with(INBOX)
}

/// The filter that a pattern is to the server: `*` is the same, `**` at the end is `>`.
pub(super) fn filter(pattern: &Pattern) -> String {
    match pattern.as_str().strip_suffix("**") {
        Some(before) => format!("{before}>"),
        None => pattern.as_str().into(),
    }
}

/// Whether a filter with `*` and `>` means `subject`, or all that the filter `subject` means.
pub(super) fn covers(filter: &str, subject: &str) -> bool {
    let (mut filter, mut subject) = (filter.split('.'), subject.split('.'));
    loop {
        match (filter.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(s)) if s != ">" => {}
            (Some(f), Some(s)) if f == s => {}
            _ => return false,
        }
    }
}

/// Refuses a name that no stream or consumer can have.
pub(super) fn check_object(name: &str) -> Result<(), String> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || ".*>/\\".contains(c);
    if name.is_empty() || name.len() > MAX_NAME || name.contains(bad) {
        return Err(format!("{name:?} is no name for a stream or consumer of NATS, which has no dots, wildcards, slashes or white space"));
    }
    Ok(())
}

/// The stream that a topic gets where none takes it: `orders.created` becomes `orders_created`, and no two topics become one.
pub(super) fn stream_of(topic: &str) -> String {
    let mut name = String::with_capacity(topic.len());
    for c in topic.chars() {
        match c {
            '.' => name.push('_'),
            '_' => name.push_str("%5F"),
            '%' => name.push_str("%25"),
            '/' => name.push_str("%2F"),
            '\\' => name.push_str("%5C"),
            c => name.push(c),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_subjects_without_wildcards() {
        for good in ["orders", "orders.eu.created", "a-b_c.1", "größe", "orders/1"] {
            assert_eq!(check_topic(good), Ok(()), "{good}");
        }
        for bad in ["", "a..b", ".a", "a.", "a b", "a.*", "a.>", "$JS.API", "_INBOX.x", "longshore-retries.s.g.1", &"x".repeat(256)] {
            assert!(check_topic(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns_are_filters() {
        for (pattern, expected) in [("orders", "orders"), ("user.*", "user.*"), ("user.**", "user.>"), ("**", ">")] {
            assert_eq!(filter(&Pattern::new(pattern).unwrap()), expected);
        }
    }

    #[test]
    fn filters_cover_what_they_mean() {
        for (filter, subject) in [(">", "a.b"), ("a.*", "a.b"), ("a.>", "a.*"), ("a.>", "a.b.>"), ("a.b", "a.b"), ("a.*", "a.*")] {
            assert!(covers(filter, subject), "{filter} {subject}");
        }
        for (filter, subject) in [("a.*", "a.b.c"), ("a.*", "a.>"), ("a.b", "a.*"), ("a.>", "a"), ("a", "b")] {
            assert!(!covers(filter, subject), "{filter} {subject}");
        }
    }

    #[test]
    fn two_topics_never_share_a_stream_by_their_names() {
        let names: std::collections::BTreeSet<_> = ["a.b", "a_b", "a_.b", "a._b", "a%5Fb", "a/b"].map(stream_of).into();
        assert_eq!(names.len(), 6);
        assert!(check_object(&stream_of("orders.created")).is_ok());
    }
}
