//! The keys of the connection: those of any Redis without what only streams and lists act upon.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use crate::narrowed;

/// What pub/sub has no use for.
const KEPT: [&str; 2] = ["lease", "io-timeout"];

/// A Redis server, one that sentinels watch over, or a cluster.
#[derive(Clone, Default)]
pub struct Config(pub(super) crate::redis::Config);

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        narrowed::read(deserializer, &KEPT).map(Config)
    }
}

impl JsonSchema for Config {
    fn schema_name() -> Cow<'static, str> {
        crate::redis::Config::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        narrowed::schema(crate::redis::Config::json_schema(generator), &KEPT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_streams_and_lists_act_upon_is_no_key_here() {
        let read = |text: &str| serde_json::from_str::<Config>(text).map(drop).map_err(|error| error.to_string());
        assert_eq!(read(r#"{"url": "redis://a", "pool-size": 2}"#), Ok(()));
        for bad in [r#"{"lease": "1s"}"#, r#"{"io-timeout": "1s"}"#, r#"{"unknown": 1}"#] {
            assert!(read(bad).is_err_and(|error| error.contains("unknown field")), "{bad}");
        }
        let schema = schemars::schema_for!(Config);
        let keys = schema.get("properties").and_then(|keys| keys.as_object()).expect("keys");
        assert!(keys.contains_key("url") && KEPT.iter().all(|key| !keys.contains_key(*key)), "{keys:?}");
    }
}
