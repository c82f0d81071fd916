//! What a key holds: the last message of its subject. Pure.

use std::time::Duration;

use async_nats::HeaderMap;

use super::expiry::Expiry;

/// Header of a message that removes a key (ADR-8), with `DEL` or `PURGE`.
pub(super) const OPERATION: &str = "KV-Operation";
/// Header of a message by which the server says that it removed one (ADR-43).
const MARKER: &str = "Nats-Marker-Reason";

/// The last message of a key, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Entry {
    /// Its sequence, which is the key's revision; 0 where there is none.
    pub(super) revision: u64,
    /// The value, unless it was removed.
    pub(super) value: Option<Value>,
}

/// A value as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) bytes: Vec<u8>,
    /// When it was kept, nanoseconds since the Unix epoch by the server's clock.
    kept: u64,
    /// When it goes.
    expires: Option<u64>,
}

impl Entry {
    /// What a message with these headers is that was kept then.
    pub(super) fn of(revision: u64, headers: &HeaderMap, kept: u64, bytes: Vec<u8>) -> Self {
        let removes = headers.get(MARKER).is_some() || headers.get(OPERATION).is_some_and(|what| matches!(what.as_str(), "DEL" | "PURGE"));
        let value = || Value { bytes, kept, expires: Expiry::read(headers, kept) };
        Entry { revision, value: (!removes).then(value) }
    }

    /// Whether the time has to be known to say what it holds.
    pub(super) fn has_time(&self) -> bool {
        self.value.as_ref().is_some_and(|value| value.expires.is_some())
    }

    /// Without a value whose time is over.
    pub(super) fn at(mut self, now: u64) -> Self {
        self.value = self.value.filter(|value| value.left(now) != Some(Duration::ZERO));
        self
    }
}

impl Value {
    /// When it was kept, nanoseconds since the Unix epoch by the server's clock.
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    /// What is left of its time; `None` if it stays.
    pub(super) fn left(&self, now: u64) -> Option<Duration> {
        // What was kept was kept in the past: our idea of the server's time is a little late.
        self.expires.map(|at| Duration::from_nanos(at.saturating_sub(now.max(self.kept))))
    }

    /// Its time, for a value that takes its place.
    pub(super) fn expiry(&self, now: u64) -> Expiry {
        match (self.expires, self.left(now)) {
            (Some(at), Some(left)) => Expiry::At { at, left },
            _ => Expiry::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::expiry::EXPIRES;
    use super::*;

    fn entry(headers: &[(&str, &str)]) -> Entry {
        let mut map = HeaderMap::new();
        headers.iter().for_each(|(name, value)| map.insert(*name, *value));
        Entry::of(7, &map, 1_000_000_000, b"x".to_vec())
    }

    #[test]
    fn what_removes_a_key_is_no_value() {
        for removed in [(OPERATION, "DEL"), (OPERATION, "PURGE"), (MARKER, "MaxAge")] {
            assert_eq!(entry(&[removed]), Entry { revision: 7, value: None }, "{removed:?}");
        }
        assert!(entry(&[]).value.is_some_and(|value| value.bytes == b"x" && value.left(u64::MAX).is_none()));
    }

    #[test]
    fn a_value_is_over_at_its_time_and_no_sooner() {
        let timed = entry(&[(EXPIRES, "+500")]);
        assert!(timed.has_time());
        assert_eq!(timed.value.as_ref().and_then(|value| value.left(0)), Some(Duration::from_millis(500)), "never more than all of it");
        assert!(timed.clone().at(1_499_999_999).value.is_some());
        assert_eq!(timed.at(1_500_000_000), Entry { revision: 7, value: None });
        assert_eq!(entry(&[(EXPIRES, "1400")]).value.and_then(|value| value.left(1_300_000_000)), Some(Duration::from_millis(100)));
    }
}
