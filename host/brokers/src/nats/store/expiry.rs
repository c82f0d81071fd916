//! When a value goes. The server's `Nats-TTL` (ADR-43) counts whole seconds and at least one; so it is rounded up, what removes the value for good,
//! and [`EXPIRES`] says the exact time, from which on the value counts as gone. Times are nanoseconds since the Unix epoch by the server's
//! clock. Pure.

use std::time::Duration;

use async_nats::HeaderMap;

/// Header with the exact time: `+` and milliseconds after the message was kept, or milliseconds since the Unix epoch.
pub(super) const EXPIRES: &str = "Longshore-Expires";
/// The server's own.
const TTL: &str = "Nats-TTL";
/// A longer time counts as that one, a hundred years: the server adds nanoseconds up in 64 bits.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
const SECOND: u64 = 1_000_000_000;
const MILLI: u64 = 1_000_000;

/// When a value that is written goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    /// Never.
    Never,
    /// So long after it was kept.
    After(Duration),
    /// At that time, of which so much is left at most.
    At { at: u64, left: Duration },
}

impl Expiry {
    /// After `ttl`, if there is one.
    pub(super) fn after(ttl: Option<Duration>) -> Self {
        ttl.map_or(Expiry::Never, Expiry::After)
    }

    /// Says it to the server.
    pub(super) fn write(self, headers: &mut HeaderMap) {
        let (exact, left) = match self {
            Expiry::Never => return,
            Expiry::After(ttl) => {
                let millis = u64::try_from(ttl.min(LONGEST).as_nanos()).unwrap_or(u64::MAX).div_ceil(MILLI);
                (format!("+{millis}"), Duration::from_millis(millis))
            }
            Expiry::At { at, left } => (at.div_ceil(MILLI).to_string(), left.min(LONGEST)),
        };
        headers.insert(EXPIRES, exact);
        headers.insert(TTL, seconds(left).to_string());
    }

    /// What a message says that was kept `at`; `None` if it stays. [`TTL`] alone is what others write, in seconds or as Go writes spans, and for the
    /// server to keep.
    pub(super) fn read(headers: &HeaderMap, at: u64) -> Option<u64> {
        let exact = headers.get(EXPIRES)?.as_str();
        match exact.strip_prefix('+') {
            Some(millis) => millis.parse::<u64>().ok().map(|millis| at.saturating_add(millis.saturating_mul(MILLI))),
            None => exact.parse::<u64>().ok().map(|millis| millis.saturating_mul(MILLI)),
        }
    }
}

/// Whole seconds, never fewer than there are.
fn seconds(left: Duration) -> u64 {
    u64::try_from(left.as_nanos()).unwrap_or(u64::MAX).div_ceil(SECOND).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_never_removes_a_value_before_its_exact_time() {
        let check = |expiry: Expiry, expected: Option<(&str, &str, u64)>| {
            let mut headers = HeaderMap::new();
            expiry.write(&mut headers);
            let written = [EXPIRES, TTL].map(|name| headers.get(name).map(|value| value.as_str().to_owned()));
            assert_eq!(written, [expected.map(|(exact, ..)| exact.to_owned()), expected.map(|(_, ttl, _)| ttl.to_owned())]);
            assert_eq!(Expiry::read(&headers, 7 * SECOND), expected.map(|(.., at)| at));
        };
        check(Expiry::Never, None);
        let after = |ttl: Duration| Expiry::after(Some(ttl));
        check(after(Duration::from_millis(1)), Some(("+1", "1", 7_001_000_000)));
        check(after(Duration::from_nanos(1)), Some(("+1", "1", 7_001_000_000)));
        check(after(Duration::from_secs(2)), Some(("+2000", "2", 9_000_000_000)));
        check(after(Duration::from_millis(2001)), Some(("+2001", "3", 9_001_000_000)));
        check(after(Duration::MAX), Some(("+3153600000000", "3153600000", 3_153_600_007_000_000_000)));
        check(Expiry::At { at: 9_500_000_001, left: Duration::from_millis(1500) }, Some(("9501", "2", 9_501_000_000)));
        check(Expiry::At { at: 9_000_000_000, left: Duration::ZERO }, Some(("9000", "1", 9_000_000_000)));
    }
}
