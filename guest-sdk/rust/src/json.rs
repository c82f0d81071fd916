//! Values of stores as JSON.

use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

pub(crate) fn read<T: DeserializeOwned>(key: &str, value: Option<Vec<u8>>) -> Result<Option<T>, Error> {
    value.map(|value| parse(key, &value)).transpose()
}

pub(crate) fn parse<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(value).map_err(|error| Error::Invalid(format!("the value of {key:?} is not what is expected: {error}")))
}

pub(crate) fn write<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Invalid(format!("the value for {key:?} has no JSON: {error}")))
}
