//! The keys of a store on a server: those of a broker there, and `prefix`.

use schemars::Schema;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

const PREFIX: &str = "prefix";
const USUAL_PREFIX: &str = "longshore";

/// What a prefix may be.
pub(crate) struct Prefix {
    pub(crate) is_usable: fn(&str) -> bool,
    /// What it is.
    pub(crate) is: &'static str,
}

/// Reads a broker's keys and the prefix, and refuses those of a broker that a store does not have.
pub(crate) fn read<'de, D: Deserializer<'de>, C: DeserializeOwned>(
    deserializer: D,
    without: &[&str],
    prefix: &Prefix,
) -> Result<(C, String), D::Error> {
    let mut keys = Map::deserialize(deserializer)?;
    let prefix = match keys.remove(PREFIX) {
        None => USUAL_PREFIX.into(),
        Some(Value::String(text)) if (prefix.is_usable)(&text) => text,
        Some(_) => return Err(D::Error::custom(format!("prefix is {}", prefix.is))),
    };
    if let Some(key) = without.iter().find(|key| keys.contains_key(**key)) {
        return Err(D::Error::custom(format!("a store has no key `{key}`")));
    }
    let connection = serde_json::from_value(Value::Object(keys)).map_err(D::Error::custom)?;
    Ok((connection, prefix))
}

/// A broker's schema as a store's. Of its prefix it says `rule`, a key of JSON schema with its value, and what it is for.
pub(crate) fn schema(mut broker: Schema, description: &str, without: &[&str], rule: (&str, Value), prefix: &str) -> Schema {
    broker.insert("description".into(), description.into());
    if let Some(properties) = broker.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|key, _| !without.contains(&key.as_str()));
        let prefix = json!({ "type": "string", "default": USUAL_PREFIX, (rule.0): rule.1, "description": prefix });
        properties.insert(PREFIX.into(), prefix);
    }
    broker
}
