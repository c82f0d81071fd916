//! Where a group begins that has no position yet, from its text.

use std::time::{Duration, UNIX_EPOCH};

use longshore_core::Start;
use toml_edit::Datetime;

/// The forms, for a person.
pub(crate) const FORMS: &str = r#"write "earliest", "latest", "none", a time like "2026-01-31T08:00:00Z", or a position of the broker"#;

/// The start that a text means: a word, a time by RFC 3339, or else a position. `None` for a time that lacks its date or offset.
pub(crate) fn start(text: &str) -> Option<Start> {
    match text {
        "earliest" => return Some(Start::Earliest),
        "latest" => return Some(Start::Latest),
        "none" => return Some(Start::None),
        _ => {}
    }
    match text.parse::<Datetime>() {
        Ok(time) => millis(&time).map(Start::Time),
        Err(_) => Some(Start::Position(text.into())),
    }
}

/// Milliseconds since the Unix epoch.
fn millis(time: &Datetime) -> Option<u64> {
    let (date, clock) = (time.date?, time.time?);
    let minutes = match time.offset? {
        toml_edit::Offset::Z => 0,
        toml_edit::Offset::Custom { minutes } => i64::from(minutes),
    };
    let local = humantime::parse_rfc3339(&format!("{date}T{clock}Z")).ok()?;
    let local = local.duration_since(UNIX_EPOCH).ok()?;
    let ahead = Duration::from_secs(minutes.unsigned_abs() * 60);
    let time = if minutes >= 0 { local.checked_sub(ahead)? } else { local + ahead };
    u64::try_from(time.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_times_and_positions_are_told_apart() {
        let check = |text: &str, expected: Option<Start>| assert_eq!(start(text), expected, "{text}");
        check("earliest", Some(Start::Earliest));
        check("1970-01-02T00:00:00Z", Some(Start::Time(86_400_000)));
        check("1970-01-02T02:00:00.5+02:00", Some(Start::Time(86_400_500)));
        check("1970-01-01T23:00:00-01:00", Some(Start::Time(86_400_000)));
        check("1970-01-02T00:00:00", None);
        check("1970-01-02", None);
        check("12345", Some(Start::Position("12345".into())));
        check("1-0", Some(Start::Position("1-0".into())));
    }
}
