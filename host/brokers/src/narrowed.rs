//! A vendor's keys without those that one of its kinds has no use for: not in its schema, and refused when they are read.

use schemars::Schema;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};
use serde_json::{Map, Value};

/// A schema without `keys`.
pub(crate) fn schema(mut whole: Schema, keys: &[&str]) -> Schema {
    if let Some(Value::Object(properties)) = whole.get_mut("properties") {
        keys.iter().for_each(|key| drop(properties.remove(*key)));
    }
    whole
}

/// Reads keys of which none is among `refused`.
pub(crate) fn read<'de, T: DeserializeOwned, D: Deserializer<'de>>(deserializer: D, refused: &[&str]) -> Result<T, D::Error> {
    let keys = Map::deserialize(deserializer)?;
    match refused.iter().find(|key| keys.contains_key(**key)) {
        Some(key) => Err(D::Error::custom(format!("unknown field `{key}`"))),
        None => serde_json::from_value(Value::Object(keys)).map_err(D::Error::custom),
    }
}
