//! Durations as the configuration writes them: a whole number with a unit, like `30s`, `200ms` or `1h30m`.
//!
//! A number alone is refused: nobody can tell whether it meant seconds or milliseconds.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Units in milliseconds, largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// What every error ends with.
const EXAMPLES: &str = r#"write a duration like "200ms", "30s", "1m", "24h" or "7d""#;

/// A duration in whole milliseconds, as text with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(Duration);

/// Text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {what}; {EXAMPLES}")]
pub struct BadSpan {
    text: String,
    what: &'static str,
}

impl Span {
    /// A span of so many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Span(Duration::from_millis(millis))
    }

    /// A span of so many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Span(Duration::from_secs(seconds))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Whether it is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Duration {
        span.0
    }
}

impl FromStr for Span {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        let bad = |what| BadSpan { text: text.into(), what };
        let (mut rest, mut millis) = (text.trim(), 0u64);
        if rest.is_empty() {
            return Err(bad("is empty"));
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let number = rest[..digits].parse::<u64>().map_err(|_| bad("does not begin with a whole number"))?;
            let letters = rest[digits..].find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len() - digits);
            let unit = &rest[digits..digits + letters];
            let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| bad(unit_trouble(unit)))?;
            let part = number.checked_mul(*factor).ok_or_else(|| bad("is too long"))?;
            millis = millis.checked_add(part).ok_or_else(|| bad("is too long"))?;
            rest = &rest[digits + letters..];
        }
        Ok(Span::from_millis(millis))
    }
}

fn unit_trouble(unit: &str) -> &'static str {
    if unit.is_empty() { "has no unit" } else { "has a unit that is none of ms, s, m, h, d" }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in UNITS {
            if millis >= factor {
                write!(f, "{}{unit}", millis / factor)?;
                millis %= factor;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

struct Text;

impl de::Visitor<'_> for Text {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a duration as text with a unit, like "30s""#)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        text.parse().map_err(E::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "duration" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_are_read_with_their_unit() {
        let check = |text: &str, millis| assert_eq!(text.parse(), Ok(Span::from_millis(millis)), "{text}");
        check("200ms", 200);
        check("30s", 30_000);
        check("1m", 60_000);
        check("24h", 86_400_000);
        check("7d", 604_800_000);
        check("1h30m", 5_400_000);
        check("0ms", 0);
    }

    #[test]
    fn anything_else_is_refused_with_a_reason() {
        let check = |text: &str, reason: &str| {
            let error = text.parse::<Span>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(r#""30s""#), "{text}: {error}");
        };
        check("", "is empty");
        check("30", "has no unit");
        check("30 s", "is none of");
        check("1.5s", "is none of");
        check("5sec", "is none of");
        check("-1s", "whole number");
        check("99999999999999999999s", "whole number");
        check("999999999999999999d", "too long");
    }

    #[test]
    fn a_number_is_not_a_duration() {
        let error = serde_json::from_str::<Span>("30").unwrap_err().to_string();
        assert!(error.contains(r#"expected a duration as text with a unit, like "30s""#), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_what_is_read(millis in 0u64..10_000_000_000) {
            let span = Span::from_millis(millis);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
            prop_assert_eq!(serde_json::from_value::<Span>(serde_json::json!(span)).ok(), Some(span));
        }

        #[test]
        fn foreign_text_never_panics(text in ".{0,20}") {
            let _ = text.parse::<Span>();
        }
    }
}
