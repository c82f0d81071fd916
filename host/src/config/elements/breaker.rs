//! When consuming pauses because nothing succeeds.

use longshore_core::{Breaker as CoreBreaker, Span};
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

/// When consuming pauses because nothing succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Breaker {
    /// Failures in a row that stop consuming.
    #[schemars(range(min = 1))]
    pub(crate) threshold: u32,
    /// How long it rests before one message is tried.
    #[schemars(extend("x-positive" = true))]
    pub(crate) reset_after: Span,
}

impl Default for Breaker {
    fn default() -> Self {
        Breaker { threshold: 10, reset_after: Span::from_secs(60) }
    }
}

/// A breaker, or whether there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Breakers {
    /// `false`: none. `true`: the usual one.
    Whether(bool),
    /// This one.
    Set(Breaker),
}

impl Default for Breakers {
    fn default() -> Self {
        Breakers::Whether(false)
    }
}

impl Breakers {
    /// The breaker that is meant.
    pub(crate) fn breaker(&self) -> Option<CoreBreaker> {
        let Breaker { threshold, reset_after } = match self {
            Breakers::Whether(false) => return None,
            Breakers::Whether(true) => Breaker::default(),
            Breakers::Set(breaker) => breaker.clone(),
        };
        Some(CoreBreaker { threshold, reset_after: reset_after.get() })
    }
}

impl<'de> Deserialize<'de> for Breakers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::Bool(whether) => Ok(Breakers::Whether(whether)),
            table => serde_json::from_value(table).map(Breakers::Set).map_err(D::Error::custom),
        }
    }
}
