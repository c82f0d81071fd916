//! The keys of a NATS store: where the server is, as for a broker, and what the names of its buckets begin with.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::nats::config::Config;
use crate::store_keys::{self, Prefix};

/// A NATS server or cluster with JetStream.
#[derive(Clone)]
pub struct StoreConfig {
    pub(super) connection: Config,
    /// What the names of all buckets begin with. Without `_`, which ends it.
    pub(super) prefix: String,
}

impl<'de> Deserialize<'de> for StoreConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let prefix = Prefix { is_usable: is_prefix, is: "a text of letters, digits and `-`, 64 of them at most" };
        let (connection, prefix) = store_keys::read(deserializer, &[], &prefix)?;
        Ok(StoreConfig { connection, prefix })
    }
}

fn is_prefix(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

impl JsonSchema for StoreConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NatsStore".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let description = "A NATS server or cluster with JetStream, 2.11 or newer. For any number of hosts.";
        let (rule, prefix) = (
            ("pattern", "^[A-Za-z0-9-]{1,64}$".into()),
            "What the names of all buckets on the server begin with. Stores with the same prefix share their buckets.",
        );
        let mut schema = store_keys::schema(Config::json_schema(generator), description, &[], rule, prefix);
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            for (key, words) in [
                ("declare", "Whether buckets that are missing are made (`create`), or only used where they are there (`passive`, `none`)."),
                ("replicas", "Servers of a cluster that keep a copy of a bucket that is made."),
            ] {
                properties[key]["description"] = words.into();
            }
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_cannot_run_into_the_name_of_a_bucket() {
        let read = |prefix: &str| serde_json::from_value::<StoreConfig>(serde_json::json!({ "prefix": prefix }));
        assert_eq!(read("my-shop").expect("it is one").prefix, "my-shop");
        for bad in ["", "a_b", "a.b", "*", "ä", &"x".repeat(65)] {
            let error = read(bad).err().expect("it is none").to_string();
            assert!(error.contains("letters, digits and `-`"), "{bad:?}: {error}");
        }
    }
}
