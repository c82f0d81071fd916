//! One handler.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

use super::policy::add_policy;
use super::publish::PublishEntry;
use super::reuse::add_instance;
use super::store::Stores;
use super::subscription::Subscription;

/// A component, what it consumes and what it may do. Nothing is granted that is not listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(transform = add_policy, transform = add_instance)]
pub(crate) struct Handler {
    /// The component's file, relative to this one; or `longshore:pass-through`, which comes with Longshore and sends every message on to `output`.
    #[schemars(length(min = 1))]
    pub(crate) component: String,
    /// How the component is built from its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) build: Option<Build>,
    /// What it consumes.
    #[schemars(length(min = 1))]
    pub(crate) subscribe: Vec<Subscription>,
    /// Topics and patterns that it may publish to.
    #[serde(default)]
    pub(crate) publish: Vec<PublishEntry>,
    /// Where `destination.output` goes: one of the topics that it may publish to.
    #[schemars(length(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<String>,
    /// What the component reads with `config.get`. A text that begins with `file:` is read from that file.
    #[serde(default)]
    pub(crate) config: BTreeMap<String, Setting>,
    /// Buckets and locks that it may use.
    #[serde(default)]
    pub(crate) stores: Stores,
    /// Hosts that it may call over HTTP. Not supported yet: only an empty list.
    #[serde(default)]
    pub(crate) http: Vec<String>,
}

/// How a component is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Build {
    /// The command, run by the shell in the folder of this file.
    #[schemars(length(min = 1))]
    pub(crate) command: String,
    /// Files and folders whose change builds it again in `longshore dev`.
    #[serde(default)]
    pub(crate) watch: Vec<String>,
}

/// A value for a component: it gets numbers and truth values as the file writes them.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Setting {
    /// Text.
    Text(#[schemars(extend("format" = "secret"))] String),
    /// A number.
    Number(f64),
    /// Yes or no.
    Truth(bool),
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::String(text) => Ok(Setting::Text(text)),
            Json::Number(number) => Ok(Setting::Number(number.as_f64().unwrap_or_default())),
            Json::Bool(truth) => Ok(Setting::Truth(truth)),
            _ => Err(D::Error::custom("expected text, a number, or true or false")),
        }
    }
}
