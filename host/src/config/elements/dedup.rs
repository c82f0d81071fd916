//! Whether a message that was done is handled again when it comes again.

use longshore_core::Span;
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

/// How duplicates are told, and for how long. A message is a duplicate of one on the same topic that this subscription has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Dedup {
    /// What two deliveries of one message have in common: `id`, `payload`, `header:<name>`, or `json:/<field>` of a JSON payload. A message
    /// without it is handled each time it comes.
    #[schemars(length(min = 1))]
    pub(crate) key: String,
    /// For how long a message is remembered once it is done.
    #[schemars(extend("x-positive" = true))]
    pub(crate) window: Span,
    /// For how long others wait for a host that said nothing more of a message that it was handling. While it lives it says so three times
    /// in that time.
    #[schemars(extend("x-positive" = true))]
    pub(crate) lease: Span,
    /// The store that remembers, for a broker that does not do it itself; `default` where none is named.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) store: Option<String>,
}

impl Default for Dedup {
    fn default() -> Self {
        Dedup { key: "id".into(), window: Span::from_secs(3600), lease: Span::from_secs(30), store: None }
    }
}

/// A dedup inbox, or whether there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Dedups {
    /// `false`: none. `true`: by id, for an hour.
    Whether(bool),
    /// This one.
    Set(Dedup),
}

impl Default for Dedups {
    fn default() -> Self {
        Dedups::Whether(false)
    }
}

impl Dedups {
    /// The inbox that is meant.
    pub(crate) fn dedup(&self) -> Option<Dedup> {
        match self {
            Dedups::Whether(false) => None,
            Dedups::Whether(true) => Some(Dedup::default()),
            Dedups::Set(dedup) => Some(dedup.clone()),
        }
    }
}

impl<'de> Deserialize<'de> for Dedups {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::Bool(whether) => Ok(Dedups::Whether(whether)),
            table => serde_json::from_value(table).map(Dedups::Set).map_err(D::Error::custom),
        }
    }
}
