//! Which messages are taken at all. Pure.

use std::time::Duration;

use longshore_core::row::Row;
use longshore_core::{PublishError, Size};

/// Prefix of the topics that replies go to. They are handed over in process and never stored.
pub(super) const INBOX: &str = "_inbox.";
/// Longest topic name, bytes.
const MAX_NAME: usize = 255;

/// What a broker takes, and how long it keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Whether publishing or subscribing makes a topic.
    pub(crate) auto_create: bool,
    /// Bytes of one message.
    pub(crate) max_message_size: usize,
    /// Age after which messages of a topic without settings of its own go.
    pub(crate) retention: Duration,
    /// Bytes of a topic above which its oldest messages go.
    pub(crate) max_size: Option<u64>,
    /// Whether messages go once every group has finished them.
    pub(crate) until_finished: bool,
}

/// Refuses a message that no topic would take.
pub(super) fn admit(row: Row<'_>, delay: u64, limits: &Limits) -> Result<(), PublishError> {
    if row.payload().is_none() {
        return Err(PublishError::Unsupported("a message without payload (a tombstone); an empty payload is one like any other".into()));
    }
    if row.size() > limits.max_message_size {
        return Err(too_large(row, limits));
    }
    if delay > 0 && is_inbox(row.topic()) {
        return Err(PublishError::Unsupported("a reply cannot be delayed".into()));
    }
    Ok(())
}

fn too_large(row: Row<'_>, limits: &Limits) -> PublishError {
    let (size, max) = (row.size(), Size::from_bytes(limits.max_message_size as u64));
    PublishError::TooLarge(format!("message of {size} bytes for topic {:?} is over max-message-size = {max}", row.topic()))
}

/// Whether a topic is somebody's inbox, which is never made a topic of its own.
pub(super) fn is_inbox(topic: &str) -> bool {
    topic.starts_with(INBOX)
}

/// Refuses a name that no topic can have: levels separated by dots, none empty, no wildcards, no white space.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let bad = |what: &str| Err(format!("topic {name:?} {what}"));
    if name.is_empty() || name.split('.').any(str::is_empty) {
        return bad("has an empty level; write names like orders.created");
    }
    if is_inbox(name) {
        return bad("begins with _inbox., where replies go");
    }
    if name.len() > MAX_NAME {
        return bad("is longer than 255 bytes");
    }
    if name.contains('*') {
        return bad("has a `*`, which is for patterns only");
    }
    if name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
        return bad("has white space, a control character or a slash");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_levels_without_wildcards() {
        for good in ["orders", "orders.eu.created", "a-b_c.1", "größe", "orders.billing.dlq"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "a..b", "a.", "orders.*", "a b", "a\n", "a/b", "_inbox.a", &"x".repeat(256)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
