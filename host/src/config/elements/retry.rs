//! When a failed message comes again.

use longshore_core::{Backoff as CoreBackoff, RetryPolicy, Span};
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

/// When a failed message comes again, and when it is given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Retry {
    /// Tries in all, the first included; 1 gives a message up on its first failure.
    #[schemars(range(min = 1))]
    pub(crate) max_attempts: u32,
    /// Age of a message, since its timestamp, above which a failure gives it up.
    #[schemars(extend("x-positive" = true))]
    pub(crate) max_age: Span,
    /// How waits grow with the number of failures.
    pub(crate) backoff: Backoff,
    /// The first wait.
    pub(crate) initial_delay: Span,
    /// What an exponential wait is multiplied with after each failure.
    #[schemars(range(min = 1))]
    pub(crate) multiplier: f64,
    /// Cap of every wait.
    #[schemars(extend("x-positive" = true))]
    pub(crate) max_delay: Span,
    /// Share of a wait that chance may add, from 0 to 1; `true` is 0.1. A wait is never shortened.
    pub(crate) jitter: Jitter,
    /// What a call that ran past its deadline counts as.
    pub(crate) on_timeout: OnTimeout,
}

/// How waits grow with the number of failures n.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Backoff {
    /// `initial-delay` × `multiplier`^(n-1)
    Exponential,
    /// `initial-delay` × n
    Linear,
    /// Always `initial-delay`.
    Fixed,
}

/// What a call that ran past its deadline counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnTimeout {
    /// A failure like any other.
    Retry,
    /// A dead letter at once.
    Reject,
}

/// A share from 0 to 1, or whether there is one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Jitter {
    /// The share.
    Share(#[schemars(range(min = 0, max = 1))] f64),
    /// Whether the usual one.
    Usual(bool),
}

/// The share that `true` stands for.
const USUAL_JITTER: f64 = 0.1;

impl Default for Retry {
    fn default() -> Self {
        Retry {
            max_attempts: 5,
            max_age: Span::from_secs(24 * 3600),
            backoff: Backoff::Exponential,
            initial_delay: Span::from_millis(200),
            multiplier: 2.0,
            max_delay: Span::from_secs(60),
            jitter: Jitter::Share(USUAL_JITTER),
            on_timeout: OnTimeout::Retry,
        }
    }
}

impl Retry {
    /// The policy that is meant.
    pub(crate) fn policy(&self) -> RetryPolicy {
        RetryPolicy {
            max_attempts: self.max_attempts,
            max_age: self.max_age.get(),
            backoff: self.backoff.into(),
            initial_delay: self.initial_delay.get(),
            multiplier: self.multiplier,
            max_delay: self.max_delay.get(),
            jitter: self.jitter.share(),
            reject_timeouts: self.on_timeout == OnTimeout::Reject,
        }
    }
}

impl Jitter {
    fn share(self) -> f64 {
        match self {
            Jitter::Share(share) => share,
            Jitter::Usual(true) => USUAL_JITTER,
            Jitter::Usual(false) => 0.0,
        }
    }
}

impl From<Backoff> for CoreBackoff {
    fn from(backoff: Backoff) -> Self {
        match backoff {
            Backoff::Exponential => CoreBackoff::Exponential,
            Backoff::Linear => CoreBackoff::Linear,
            Backoff::Fixed => CoreBackoff::Fixed,
        }
    }
}

impl<'de> Deserialize<'de> for Jitter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::Bool(usual) => Ok(Jitter::Usual(usual)),
            Json::Number(share) => Ok(Jitter::Share(share.as_f64().unwrap_or_default())),
            _ => Err(D::Error::custom("expected a share from 0 to 1, or true or false")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_engine() {
        assert_eq!(Retry::default().policy(), RetryPolicy::default());
    }

    #[test]
    fn jitter_may_be_a_word() {
        let check = |json: Json, share: f64| assert_eq!(serde_json::from_value::<Jitter>(json).expect("jitter").share(), share);
        check(true.into(), 0.1);
        check(false.into(), 0.0);
        check(0.5.into(), 0.5);
        check(1.into(), 1.0);
    }
}
