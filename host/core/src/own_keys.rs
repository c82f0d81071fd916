//! Keys of a subscription or a topic that only one kind of broker knows: `exchange`, `max-length`. The host holds them against the adapter's
//! schema when the configuration is checked and hands them through as they are.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::BrokerError;

/// Such keys with their values, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnKeys(Map<String, Value>);

/// What an adapter has that knows no keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoKeys {}

/// One key of a subscription that makes no sense on that broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The key, as the configuration writes it.
    pub key: &'static str,
    /// What is wrong, as a fragment.
    pub problem: String,
    /// What to do.
    pub help: String,
}

impl OwnKeys {
    /// From a table of keys.
    pub fn new(keys: Map<String, Value>) -> Self {
        OwnKeys(keys)
    }

    /// The keys as the adapter's type, with defaults for those that are not there. An error where they do not fit: they were not checked.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, BrokerError> {
        serde_json::from_value(Value::Object(self.0.clone())).map_err(|e| BrokerError::give_up(format!("its own keys do not fit: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused_where_there_are_none() {
        assert_eq!(OwnKeys::default().read::<NoKeys>(), Ok(NoKeys {}));
        let some = OwnKeys::new(Map::from_iter([("exchange".to_owned(), Value::from("x"))]));
        let error = some.read::<NoKeys>().expect_err("there is no such key");
        assert!(error.what.contains("exchange"), "{error}");
    }
}
