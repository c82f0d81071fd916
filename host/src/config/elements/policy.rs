//! Keys that [defaults], a handler and an entry of its `subscribe` list have in common. Each lays its own over those before it, key by key.

use std::collections::BTreeSet;

use longshore_core::Size;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::batch::Batches;
use super::breaker::Breakers;
use super::dead_letter::DeadLetters;
use super::dedup::Dedups;
use super::retry::Retry;

/// How messages of a subscription are handled. An entry of `subscribe` overrides its handler, a handler overrides `[defaults]`, key by key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Policy {
    /// When a failed message comes again, and when it is given up.
    pub(crate) retry: Retry,
    /// Where messages go that are given up; `false`: nowhere.
    pub(crate) dead_letter: DeadLetters,
    /// How many messages a call gets.
    pub(crate) batch: Batches,
    /// When consuming pauses because nothing succeeds; `false`: never.
    pub(crate) circuit_breaker: Breakers,
    /// Whether a message that was done is handled again when it comes again; `false`: it is.
    pub(crate) dedup: Dedups,
    /// Calls at once.
    #[schemars(range(min = 1))]
    pub(crate) concurrency: usize,
    /// Messages held at once: waiting for a call, in one, or waiting to be acknowledged.
    #[schemars(range(min = 1))]
    pub(crate) max_in_flight: usize,
    /// Bytes held at once.
    #[schemars(extend("x-positive" = true))]
    pub(crate) max_bytes_in_flight: Size,
    /// Hand-overs without any outcome, because hosts died over them, after which a message runs alone and is then given up.
    #[schemars(range(min = 1))]
    pub(crate) max_deliveries: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            retry: Retry::default(),
            dead_letter: DeadLetters::default(),
            batch: Batches::default(),
            circuit_breaker: Breakers::default(),
            dedup: Dedups::default(),
            concurrency: 16,
            max_in_flight: 1000,
            max_bytes_in_flight: Size::from_mib(64),
            max_deliveries: 20,
        }
    }
}

/// The keys of an element.
pub(crate) fn keys<T: JsonSchema>() -> BTreeSet<String> {
    properties::<T>().into_iter().map(|(key, _)| key).collect()
}

fn properties<T: JsonSchema>() -> Map<String, Json> {
    schemars::schema_for!(T).get("properties").and_then(Json::as_object).cloned().unwrap_or_default()
}

/// Adds the keys of [`Policy`] to the schema of an element that has them besides its own. A transform, since serde's `flatten` would spoil the
/// refusal of unknown keys.
pub(crate) fn add_policy(schema: &mut Schema) {
    add::<Policy>(schema);
}

/// Adds the keys of `T` to a schema.
pub(crate) fn add<T: JsonSchema>(schema: &mut Schema) {
    let ours = schema.ensure_object().entry("properties").or_insert_with(|| Json::Object(Map::new()));
    if let Some(ours) = ours.as_object_mut() {
        ours.extend(properties::<T>());
    }
}
