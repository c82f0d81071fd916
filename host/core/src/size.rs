//! Numbers of bytes as the configuration writes them: a whole number with a unit, like `64MiB` or `10MB`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Units in bytes; the binary ones, largest first, are those that are shown.
const BINARY: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const DECIMAL: [(&str, u64); 5] = [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000), ("KB", 1_000)];
/// What every error ends with.
const EXAMPLES: &str = r#"write a size like "512B", "64KiB", "1MiB" or "10MB""#;

/// So many bytes, as text with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(u64);

/// Text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {what}; {EXAMPLES}")]
pub struct BadSize {
    text: String,
    what: &'static str,
}

impl Size {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Size(bytes)
    }

    /// So many times 2^20 bytes.
    pub const fn from_mib(mib: u64) -> Self {
        Size(mib << 20)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory; what no memory can hold is the largest length.
    pub fn length(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Size {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, BadSize> {
        let bad = |what| BadSize { text: text.into(), what };
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(bad("is empty"));
        }
        let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
        let number = trimmed[..digits].parse::<u64>().map_err(|_| bad("does not begin with a whole number"))?;
        let unit = &trimmed[digits..];
        if unit.is_empty() {
            return Err(bad("has no unit"));
        }
        let (_, factor) = BINARY
            .iter()
            .chain(&DECIMAL)
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| bad("has a unit that is none of B, KiB, MiB, GiB, TiB, kB, MB, GB, TB"))?;
        number.checked_mul(*factor).map(Size).ok_or_else(|| bad("is too large"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, factor): &&(&str, u64)| self.0 >= *factor && self.0.is_multiple_of(*factor);
        match BINARY.iter().find(whole) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => f.write_str("0B"),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

struct Text;

impl de::Visitor<'_> for Text {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a size as text with a unit, like "1MiB""#)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "size" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit() {
        let check = |text: &str, bytes| assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        check("0B", 0);
        check("512B", 512);
        check("1KiB", 1024);
        check("64MiB", 64 << 20);
        check("10MB", 10_000_000);
        check("2kB", 2_000);
        check("1GiB", 1 << 30);
    }

    #[test]
    fn anything_else_is_refused_with_a_reason() {
        let check = |text: &str, reason: &str| {
            let error = text.parse::<Size>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(r#""1MiB""#), "{text}: {error}");
        };
        check("", "is empty");
        check("64", "has no unit");
        check("64 MiB", "is none of");
        check("64mib", "is none of");
        check("MiB", "whole number");
        check("99999999999TiB", "too large");
    }

    #[test]
    fn a_number_is_not_a_size() {
        let error = serde_json::from_str::<Size>("64").unwrap_err().to_string();
        assert!(error.contains(r#"expected a size as text with a unit, like "1MiB""#), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_what_is_read(bytes: u64) {
            prop_assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
        }

        #[test]
        fn foreign_text_never_panics(text in ".{0,20}") {
            let _ = text.parse::<Size>();
        }
    }
}
