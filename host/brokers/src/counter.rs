//! Numbers in values: the one rule that all stores count by. Pure.

use longshore_core::{MAX_COUNT, StoreError};

/// What `value` and `by` are together, each of them within [`MAX_COUNT`]. A missing value is 0; one that is there is decimal digits, with a minus or without.
pub(crate) fn sum(key: &str, value: Option<&[u8]>, by: i64) -> Result<i64, StoreError> {
    let now = match value {
        None => 0,
        Some(value) => number(value).ok_or_else(|| no_number(key))?,
    };
    let sum = now.checked_add(by).filter(|sum| by.unsigned_abs() <= MAX_COUNT && sum.unsigned_abs() <= MAX_COUNT);
    sum.ok_or_else(|| beyond(key))
}

/// The value is no number.
pub(crate) fn no_number(key: &str) -> StoreError {
    StoreError::Invalid(format!("the value of {key:?} is not a number"))
}

/// The sum cannot be held.
pub(crate) fn beyond(key: &str) -> StoreError {
    StoreError::Invalid(format!("the sum at {key:?} would be beyond 2^53"))
}

fn number(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok().filter(|text| !text.starts_with('+'))?;
    text.parse().ok().filter(|number: &i64| number.unsigned_abs() <= MAX_COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_zero_and_what_is_no_number_is_told() {
        let check = |value: Option<&str>, by: i64| sum("k", value.map(str::as_bytes), by).map_err(|error| error.to_string());
        assert_eq!(check(None, 5), Ok(5));
        assert_eq!(check(Some("4"), -5), Ok(-1));
        assert_eq!(check(Some("-7"), 0), Ok(-7));
        assert_eq!(check(Some("9007199254740991"), 1), Ok(1 << 53));
        for value in ["", "-", "+1", "1.5", "x", " 1", "9007199254740993", "99999999999999999999"] {
            assert_eq!(check(Some(value), 0), Err("invalid: the value of \"k\" is not a number".into()), "{value}");
        }
        for (value, by) in [
            (Some("9007199254740992"), 1),
            (Some("-9007199254740992"), -1),
            (None, i64::MIN),
            (Some("1"), i64::MAX),
            (Some("-2"), (1 << 53) + 1),
        ] {
            assert_eq!(check(value, by), Err("invalid: the sum at \"k\" would be beyond 2^53".into()));
        }
    }
}
