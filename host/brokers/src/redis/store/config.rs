//! The keys of a Redis store: where the server is, as for a broker, and what its keys begin with.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use crate::redis::config::Config;
use crate::store_keys::{self, Prefix};

/// What a broker has and a store does not.
const NOT_OF_STORES: [&str; 3] = ["cluster", "io-timeout", "lease"];

/// A Redis server, or one that sentinels watch over.
#[derive(Clone)]
pub struct StoreConfig {
    pub(super) connection: Config,
    /// What all keys begin with.
    pub(super) prefix: String,
}

impl<'de> Deserialize<'de> for StoreConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let prefix = Prefix { is_usable: |_| true, is: "a text" };
        let (connection, prefix) = store_keys::read(deserializer, &NOT_OF_STORES, &prefix)?;
        Ok(StoreConfig { connection, prefix })
    }
}

impl JsonSchema for StoreConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RedisStore".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let description = "A Redis server, or one that sentinels watch over. For any number of hosts.";
        let prefix = "What all keys on the server begin with. Stores with the same prefix share their buckets.";
        store_keys::schema(Config::json_schema(generator), description, &NOT_OF_STORES, ("minLength", 1.into()), prefix)
    }
}
