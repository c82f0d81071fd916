//! The file as a whole.

use std::collections::BTreeMap;

use longshore_core::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::admin::Admin;
use super::defaults::Defaults;
use super::handler::Handler;
use super::job::Job;
use super::topic::Topic;

/// The configuration of a Longshore host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct File {
    /// Connections, by name. Who names no broker uses `default`; with no broker at all there is one of type `embedded` under that name.
    pub(crate) brokers: BTreeMap<String, Json>,
    /// Handlers, by name.
    pub(crate) handlers: BTreeMap<String, Handler>,
    /// Jobs, by name.
    pub(crate) jobs: BTreeMap<String, Job>,
    /// What keeps values, by name. Who names no store uses `default`; with no store at all there is one of type `embedded` under that name, for
    /// who is granted a bucket.
    pub(crate) stores: BTreeMap<String, Json>,
    /// Topics that are kept in a way of their own.
    pub(crate) topics: BTreeMap<String, Topic>,
    /// What holds for every handler that says nothing else.
    pub(crate) defaults: Defaults,
    /// The administration interface.
    pub(crate) admin: Admin,
    /// How long calls may go on once the host is told to stop.
    pub(crate) shutdown_grace: Span,
}

impl Default for File {
    fn default() -> Self {
        File {
            brokers: BTreeMap::new(),
            handlers: BTreeMap::new(),
            jobs: BTreeMap::new(),
            stores: BTreeMap::new(),
            topics: BTreeMap::new(),
            defaults: Defaults::default(),
            admin: Admin::default(),
            shutdown_grace: Span::from_secs(30),
        }
    }
}
