//! The keys of the connection: those of any NATS without what only JetStream acts upon.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use crate::narrowed;

/// What core NATS has no use for.
const JETSTREAM: [&str; 3] = ["declare", "replicas", "domain"];

/// A NATS server or cluster.
#[derive(Clone, Default)]
pub struct Config(pub(super) crate::nats::Config);

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        narrowed::read(deserializer, &JETSTREAM).map(Config)
    }
}

impl JsonSchema for Config {
    fn schema_name() -> Cow<'static, str> {
        crate::nats::Config::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        narrowed::schema(crate::nats::Config::json_schema(generator), &JETSTREAM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_jetstream_acts_upon_is_no_key_here() {
        let read = |text: &str| serde_json::from_str::<Config>(text).map(drop).map_err(|error| error.to_string());
        assert_eq!(read(r#"{"url": "nats://a:1", "user": "u"}"#), Ok(()));
        for bad in [r#"{"declare": "none"}"#, r#"{"replicas": 3}"#, r#"{"domain": "x"}"#, r#"{"unknown": 1}"#] {
            assert!(read(bad).is_err_and(|error| error.contains("unknown field")), "{bad}");
        }
        let schema = schemars::schema_for!(Config);
        let keys = schema.get("properties").and_then(|keys| keys.as_object()).expect("keys");
        assert!(keys.contains_key("url") && JETSTREAM.iter().all(|key| !keys.contains_key(*key)), "{keys:?}");
    }
}
