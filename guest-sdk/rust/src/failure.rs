//! Why a message was not finished: what a handler answers instead of `Ok`.

use std::{error::Error, fmt, time::Duration};

/// Why a message was not finished, which says what happens to it.
///
/// `?` on any error makes a [`Retry`](Failure::Retry) with the error's text and its sources'. For that to be, `Failure` is not itself an
/// error, as `anyhow::Error` is not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// It failed and may succeed later; the host decides when, by the retry policy. Uses an attempt.
    Retry(String),
    /// The same, but not before the span is over.
    RetryAfter(Duration, String),
    /// It can never succeed: to the dead letters now.
    Reject(String),
    /// Forget it. Counted and logged.
    Discard(String),
    /// Not now. Uses no attempt; bounded by the subscription's `max-age`.
    Snooze(Duration),
}

impl Failure {
    /// It failed and may succeed later; the host decides when. Uses an attempt.
    pub fn retry(reason: impl fmt::Display) -> Self {
        Self::Retry(reason.to_string())
    }

    /// The same, but not before `after` is over.
    pub fn retry_after(after: Duration, reason: impl fmt::Display) -> Self {
        Self::RetryAfter(after, reason.to_string())
    }

    /// It can never succeed: to the dead letters now.
    pub fn reject(reason: impl fmt::Display) -> Self {
        Self::Reject(reason.to_string())
    }

    /// Forget it. Counted and logged.
    pub fn discard(reason: impl fmt::Display) -> Self {
        Self::Discard(reason.to_string())
    }

    /// Not now, but after this span. Uses no attempt.
    pub fn snooze(after: Duration) -> Self {
        Self::Snooze(after)
    }

    /// Whether the message is handled again, so that under an order later ones have to wait for it.
    pub(crate) fn comes_again(&self) -> bool {
        matches!(self, Self::Retry(_) | Self::RetryAfter(..) | Self::Snooze(_))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry(reason) => write!(f, "retry: {reason}"),
            Self::RetryAfter(after, reason) => write!(f, "retry after {after:?}: {reason}"),
            Self::Reject(reason) => write!(f, "reject: {reason}"),
            Self::Discard(reason) => write!(f, "discard: {reason}"),
            Self::Snooze(after) => write!(f, "snooze for {after:?}"),
        }
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Retry(with_sources(&error))
    }
}

/// Says of a failed step what it means for the message: `order.charge().or_retry_after(MINUTE, "bank")?`.
///
/// The reason is `what`, then the error's text and its sources'. On an `Option`, it is `what` alone.
pub trait OrFail<T>: Sized {
    #[doc(hidden)]
    fn or_fail(self, what: &dyn fmt::Display, failure: impl FnOnce(String) -> Failure) -> Result<T, Failure>;

    /// Trying again may help; the same as `?`, with words of one's own.
    ///
    /// # Errors
    /// [`Failure::Retry`] where this is an error or none.
    fn or_retry(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.or_fail(&what, Failure::Retry)
    }

    /// Trying again may help, but not before `after` is over.
    ///
    /// # Errors
    /// [`Failure::RetryAfter`] where this is an error or none.
    fn or_retry_after(self, after: Duration, what: impl fmt::Display) -> Result<T, Failure> {
        self.or_fail(&what, |reason| Failure::RetryAfter(after, reason))
    }

    /// It can never succeed.
    ///
    /// # Errors
    /// [`Failure::Reject`] where this is an error or none.
    fn or_reject(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.or_fail(&what, Failure::Reject)
    }

    /// Then the message does not matter.
    ///
    /// # Errors
    /// [`Failure::Discard`] where this is an error or none.
    fn or_discard(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.or_fail(&what, Failure::Discard)
    }
}

impl<T, E: Error> OrFail<T> for Result<T, E> {
    fn or_fail(self, what: &dyn fmt::Display, failure: impl FnOnce(String) -> Failure) -> Result<T, Failure> {
        self.map_err(|error| failure(format!("{what}: {}", with_sources(&error))))
    }
}

impl<T> OrFail<T> for Option<T> {
    fn or_fail(self, what: &dyn fmt::Display, failure: impl FnOnce(String) -> Failure) -> Result<T, Failure> {
        self.ok_or_else(|| failure(what.to_string()))
    }
}

/// The text of an error and of what caused it, joined by colons.
fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::num::ParseIntError;

    use super::*;

    #[derive(Debug)]
    struct Outer(ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("no amount")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    fn broken() -> Result<u32, Outer> {
        "x".parse().map_err(Outer)
    }

    #[test]
    fn any_error_is_a_retry_with_its_text_and_sources() {
        fn handle() -> Result<(), Failure> {
            broken()?;
            Ok(())
        }
        assert_eq!(handle(), Err(Failure::retry("no amount: invalid digit found in string")));
    }

    #[test]
    fn a_step_can_say_what_its_failure_means() {
        assert_eq!(broken().or_reject("order"), Err(Failure::reject("order: no amount: invalid digit found in string")));
        assert_eq!(None::<u32>.or_discard("nobody"), Err(Failure::discard("nobody")));
        assert_eq!(Some(1).or_retry("nobody"), Ok(1));
        let second = Duration::from_secs(1);
        assert_eq!(None::<u32>.or_retry_after(second, "busy"), Err(Failure::retry_after(second, "busy")));
    }
}
