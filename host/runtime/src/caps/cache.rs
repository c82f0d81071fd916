//! `cache`: answers `unsupported` until a store stands behind it.
//!
//! No bucket is ever given out, so the methods behind one cannot be reached: each says the same.

use wasmtime::component::Resource;

use super::Never;
use crate::bindings::cache::Page;
use crate::bindings::cache::{Host, HostBucket};
use crate::bindings::types::Error;
use crate::state::State;

impl Host for State {}

impl HostBucket for State {
    fn open(&mut self, name: String) -> Result<Resource<Never>, Error> {
        Err(Error::Unsupported(format!("no store stands behind cache bucket {name:?}: this host has none yet")))
    }

    fn get(&mut self, _: Resource<Never>, _key: String) -> Result<Option<Vec<u8>>, Error> {
        none()
    }

    fn get_many(&mut self, _: Resource<Never>, _keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        none()
    }

    fn set(&mut self, _: Resource<Never>, _key: String, _value: Vec<u8>, _ttl: Option<u64>) -> Result<(), Error> {
        none()
    }

    fn set_many(&mut self, _: Resource<Never>, _entries: Vec<(String, Vec<u8>)>, _ttl: Option<u64>) -> Result<(), Error> {
        none()
    }

    fn add(&mut self, _: Resource<Never>, _key: String, _value: Vec<u8>, _ttl: Option<u64>) -> Result<bool, Error> {
        none()
    }

    fn delete(&mut self, _: Resource<Never>, _key: String) -> Result<bool, Error> {
        none()
    }

    fn delete_matching(&mut self, _: Resource<Never>, _pattern: String) -> Result<u64, Error> {
        none()
    }

    fn increment(&mut self, _: Resource<Never>, _key: String, _by: i64, _ttl: Option<u64>) -> Result<i64, Error> {
        none()
    }

    fn compare_and_set(
        &mut self,
        _: Resource<Never>,
        _key: String,
        _expected: Option<Vec<u8>>,
        _value: Vec<u8>,
        _ttl: Option<u64>,
    ) -> Result<bool, Error> {
        none()
    }

    fn ttl(&mut self, _: Resource<Never>, _key: String) -> Result<Option<u64>, Error> {
        none()
    }

    fn keys(&mut self, _: Resource<Never>, _pattern: String, _cursor: Option<String>) -> Result<Page, Error> {
        none()
    }

    fn drop(&mut self, _: Resource<Never>) -> wasmtime::Result<()> {
        Ok(())
    }
}

fn none<T>() -> Result<T, Error> {
    Err(Error::Unsupported("this host has no cache store yet".into()))
}
