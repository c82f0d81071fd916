//! Spans and points in time between `std`'s types and the milliseconds of the WIT interfaces.

use std::time::{Duration, SystemTime};

/// The longest span there is: numbers at the boundary stay below 2^53.
const MAX_MILLIS: u64 = (1 << 53) - 1;

/// Rounded up, so that a wait is never shorter than asked for.
pub(crate) fn millis(span: Duration) -> u64 {
    let whole = span.as_nanos().div_ceil(1_000_000);
    u64::try_from(whole).unwrap_or(MAX_MILLIS).min(MAX_MILLIS)
}

/// A point in time from milliseconds since the Unix epoch.
pub(crate) fn from_epoch(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// Milliseconds since the Unix epoch; 0 before it.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn since_epoch(time: SystemTime) -> u64 {
    let span = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(span.as_millis()).unwrap_or(MAX_MILLIS).min(MAX_MILLIS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_never_shorter_than_asked_for() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(1500)), 1500);
        assert_eq!(millis(Duration::MAX), MAX_MILLIS);
    }
}
