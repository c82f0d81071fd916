//! Times as people write them on the command line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use longshore_core::{Clock, Span};

/// RFC 3339, UTC, whole seconds.
pub(super) fn rfc3339(millis: u64) -> String {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis)).map_or_else(String::new, |t| humantime::format_rfc3339_seconds(t).to_string())
}

/// Milliseconds since the Unix epoch of an RFC 3339 time, or of a span ago (`2h`).
pub(super) fn moment(text: &str) -> Result<u64, String> {
    if let Ok(span) = text.parse::<Span>() {
        return Ok(Clock::system().now().saturating_sub(millis(span.get())));
    }
    let time: SystemTime =
        humantime::parse_rfc3339(text).map_err(|_| "write a time such as 2026-01-31T08:00:00Z, or a span ago such as 2h")?;
    time.duration_since(UNIX_EPOCH).map(millis).map_err(|_| "a time before 1970".into())
}

/// Whole milliseconds.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A span as an argument.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    text.parse::<Span>().map(Span::get).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_or_spans_ago() {
        assert_eq!(moment("1970-01-01T00:00:02Z"), Ok(2000));
        let ago = Clock::system().now() - moment("2h").unwrap();
        assert!((7_200_000..7_210_000).contains(&ago), "{ago}");
        assert!(moment("yesterday").is_err());
        assert_eq!(rfc3339(2000), "1970-01-01T00:00:02Z");
    }
}
