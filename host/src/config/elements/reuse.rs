//! Keys of the instances behind a handler, for [defaults] and handlers.

use schemars::{JsonSchema, Schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

use super::limits::Limits;
use super::policy::add;

/// How instances of a component run. A handler overrides `[defaults]`, key by key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Instance {
    /// Calls before an instance is replaced; `"fresh"`: a new instance for every call.
    pub(crate) reuse: Reuse,
    /// Bounds of one call.
    pub(crate) limits: Limits,
}

/// Adds the keys of [`Instance`] to a schema.
pub(crate) fn add_instance(schema: &mut Schema) {
    add::<Instance>(schema);
}

/// Calls before an instance is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Reuse {
    /// So many.
    After(#[schemars(range(min = 1))] u64),
    /// One.
    Fresh(Fresh),
}

/// The word for a new instance for every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fresh {
    /// A new instance for every call.
    Fresh,
}

impl Default for Reuse {
    fn default() -> Self {
        Reuse::After(10_000)
    }
}

impl From<Reuse> for crate::config::Reuse {
    fn from(reuse: Reuse) -> Self {
        match reuse {
            Reuse::After(calls) => crate::config::Reuse::After(calls),
            Reuse::Fresh(Fresh::Fresh) => crate::config::Reuse::Fresh,
        }
    }
}

impl<'de> Deserialize<'de> for Reuse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::Number(calls) => calls.as_u64().map(Reuse::After).ok_or_else(|| D::Error::custom("expected a number of calls")),
            word => serde_json::from_value(word).map(Reuse::Fresh).map_err(D::Error::custom),
        }
    }
}
