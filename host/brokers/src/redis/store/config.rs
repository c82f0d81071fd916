//! The keys of a Redis store: where the server is, as for a broker, and what its keys begin with.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::redis::config::Config;

/// What a broker has and a store does not.
const NOT_OF_STORES: [&str; 3] = ["cluster", "io-timeout", "lease"];
const PREFIX: &str = "prefix";
const USUAL_PREFIX: &str = "longshore";

/// A Redis server, or one that sentinels watch over.
#[derive(Clone)]
pub struct StoreConfig {
    pub(super) connection: Config,
    /// What all keys begin with.
    pub(super) prefix: String,
}

impl<'de> Deserialize<'de> for StoreConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys = Map::deserialize(deserializer)?;
        let prefix = match keys.remove(PREFIX) {
            None => USUAL_PREFIX.into(),
            Some(Value::String(prefix)) => prefix,
            Some(_) => return Err(D::Error::custom("prefix is a text")),
        };
        if let Some(key) = NOT_OF_STORES.into_iter().find(|key| keys.contains_key(*key)) {
            return Err(D::Error::custom(format!("a store has no key `{key}`")));
        }
        let connection = serde_json::from_value(Value::Object(keys)).map_err(D::Error::custom)?;
        Ok(StoreConfig { connection, prefix })
    }
}

impl JsonSchema for StoreConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RedisStore".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Config::json_schema(generator);
        schema.insert("description".into(), "A Redis server, or one that sentinels watch over. For any number of hosts.".into());
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.retain(|key, _| !NOT_OF_STORES.contains(&key.as_str()));
            let prefix = serde_json::json!({
                "type": "string", "default": USUAL_PREFIX, "minLength": 1,
                "description": "What all keys on the server begin with. Stores with the same prefix share their buckets."
            });
            properties.insert(PREFIX.into(), prefix);
        }
        schema
    }
}
