//! One job.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::handler::{Build, Setting};
use super::limits::Limits;
use super::publish::PublishEntry;
use super::store::Stores;
use super::subscription::Subscription;

/// A component that runs by itself, and may ask for messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Job {
    /// The component's file, relative to this one.
    #[schemars(length(min = 1))]
    pub(crate) component: String,
    /// How the component is built from its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) build: Option<Build>,
    /// What happens when it ends.
    #[serde(default)]
    pub(crate) restart: Restart,
    /// What it may ask for messages from, each by its `name`, or by its topic where it has none.
    #[serde(default)]
    pub(crate) subscribe: Vec<Subscription>,
    /// Topics and patterns that it may publish to.
    #[serde(default)]
    pub(crate) publish: Vec<PublishEntry>,
    /// What the component reads with `config.get`. A text that begins with `file:` is read from that file.
    #[serde(default)]
    pub(crate) config: BTreeMap<String, Setting>,
    /// Buckets and locks that it may use.
    #[serde(default)]
    pub(crate) stores: Stores,
    /// Bounds; those of [defaults] where none are given.
    #[serde(default)]
    pub(crate) limits: Limits,
}

/// What happens when a job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Nothing: it runs once.
    #[default]
    Never,
    /// It runs again after a failure.
    OnFailure,
    /// It runs again.
    Always,
}
