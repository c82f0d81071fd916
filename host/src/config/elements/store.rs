//! Keys that every store has besides those of its adapter, and what a handler may use of stores.

use longshore_core::{Size, Span};
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

/// What keeps values for handlers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Store {
    /// How long the store may take to answer.
    #[schemars(extend("x-positive" = true))]
    pub(crate) timeout: Span,
    /// Bytes that a key may have, a pattern of keys, and the name of a lock.
    #[schemars(extend("x-positive" = true))]
    pub(crate) max_key_size: Size,
    /// Bytes that a value may have; no more than `max-size`, where the store has one. All values that one call answers have 64 MiB at most, or
    /// those of one value where that may have more.
    #[schemars(extend("x-positive" = true))]
    pub(crate) max_value_size: Size,
    /// The longest lease of a lock.
    #[schemars(extend("x-positive" = true))]
    pub(crate) max_lock_ttl: Span,
    /// When a value of a cache goes that was set without a time. Unset: when the store needs the room.
    #[schemars(extend("x-positive" = true))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_ttl: Option<Span>,
}

impl Default for Store {
    fn default() -> Self {
        Store {
            timeout: Span::from_secs(5),
            max_key_size: Size::from_bytes(1024),
            max_value_size: Size::from_mib(1),
            max_lock_ttl: Span::from_secs(3600),
            default_ttl: None,
        }
    }
}

/// Buckets and locks that a component may use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Stores {
    /// Cache buckets.
    pub(crate) cache: Vec<BucketEntry>,
    /// Key-value buckets.
    pub(crate) key_value: Vec<BucketEntry>,
    /// Locks, by name or pattern: `*` stands for any characters.
    pub(crate) locks: Vec<LockEntry>,
}

/// Leave to use a bucket, in a named store or under another name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct BucketGrant {
    /// The bucket. All who name it share it.
    #[schemars(length(min = 1))]
    pub(crate) bucket: String,
    /// The store; `default` where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) store: Option<String>,
    /// The name that the component says for it.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) alias: Option<String>,
}

/// A bucket in the store `default`, or a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum BucketEntry {
    /// A bucket in the store `default`.
    Bucket(#[schemars(length(min = 1))] String),
    /// With the store or another name.
    Grant(BucketGrant),
}

impl BucketEntry {
    /// As a table.
    pub(crate) fn grant(self) -> BucketGrant {
        match self {
            BucketEntry::Bucket(bucket) => BucketGrant { bucket, store: None, alias: None },
            BucketEntry::Grant(grant) => grant,
        }
    }
}

impl<'de> Deserialize<'de> for BucketEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::String(bucket) => Ok(BucketEntry::Bucket(bucket)),
            table => serde_json::from_value(table).map(BucketEntry::Grant).map_err(D::Error::custom),
        }
    }
}

/// Leave to take locks, in a named store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct LockGrant {
    /// A name, or a pattern in which `*` stands for any characters. All who name a lock share it.
    #[schemars(length(min = 1))]
    pub(crate) name: String,
    /// The store; `default` where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) store: Option<String>,
}

/// Locks in the store `default`, or a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum LockEntry {
    /// A name or pattern in the store `default`.
    Name(#[schemars(length(min = 1))] String),
    /// With the store.
    Grant(LockGrant),
}

impl LockEntry {
    /// As a table.
    pub(crate) fn grant(self) -> LockGrant {
        match self {
            LockEntry::Name(name) => LockGrant { name, store: None },
            LockEntry::Grant(grant) => grant,
        }
    }
}

impl<'de> Deserialize<'de> for LockEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::String(name) => Ok(LockEntry::Name(name)),
            table => serde_json::from_value(table).map(LockEntry::Grant).map_err(D::Error::custom),
        }
    }
}
