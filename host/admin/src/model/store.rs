//! Values and locks in stores.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Data, Health};

/// One store that a host has open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoreStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Its `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How it fares.
    pub status: Health,
    /// Milliseconds that its answer took, just now.
    pub ping_ms: Option<f64>,
    /// Values that its caches dropped for want of room since the host began; `null` where it has none.
    pub dropped: Option<u64>,
    /// What fails.
    pub error: Option<String>,
}

/// A kind of bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BucketKind {
    /// Values that may vanish.
    Cache,
    /// Values that stay.
    KeyValue,
}

impl BucketKind {
    /// The name that users see.
    pub fn name(self) -> &'static str {
        match self {
            BucketKind::Cache => "cache",
            BucketKind::KeyValue => "key-value",
        }
    }
}

/// One bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InBucket {
    /// The store's name; `default` without.
    pub store: Option<String>,
    /// Its kind.
    pub kind: BucketKind,
    /// Its name.
    pub bucket: String,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Value {
    /// Its key.
    pub key: String,
    /// The value.
    pub value: Data,
    /// Milliseconds after which it goes; `null` when it stays.
    pub ttl_ms: Option<u64>,
}

/// A value to set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetValue {
    /// The value.
    pub value: Data,
    /// Milliseconds after which it goes; only in a cache.
    pub ttl_ms: Option<u64>,
}

/// A page of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyList {
    /// In no particular order.
    pub keys: Vec<String>,
    /// Leads to the next page; `null` after the last.
    pub next: Option<String>,
}

/// A lock that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lock {
    /// Its name.
    pub name: String,
    /// The host that holds it: its machine and process.
    pub host: String,
    /// The handler or job.
    pub handler: String,
    /// The id of the message that it was taken for; empty in a job.
    pub message: String,
    /// The fence of the grant.
    pub fence: u64,
    /// For how long it has been held, milliseconds by the store's clock.
    pub age_ms: u64,
    /// What is left of its lease, milliseconds by the store's clock.
    pub left_ms: u64,
}

/// A page of locks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LockList {
    /// In no particular order.
    pub locks: Vec<Lock>,
    /// Leads to the next page; `null` after the last.
    pub next: Option<String>,
}
