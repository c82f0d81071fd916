//! What `cache` and `key-value` share: opening a bucket by its granted name, and finding it again by the guest's handle.
//!
//! A handle is the number of a grant, so that opening costs no memory of the host's, and a guest that never drops one leaks none. Nothing in a
//! bucket is the call's own; so there is nothing to end with it.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Bucket, GrantedBuckets, StoreError};
use wasmtime::component::Resource;

use super::publish::LONGEST;
use crate::bindings::types::Error;

/// A handle for the bucket that a guest calls `name`; `key` is where the configuration would grant it.
pub(super) fn open<K: 'static>(granted: &GrantedBuckets, name: &str, key: &str) -> Result<Resource<K>, Error> {
    let found = granted.find(name).and_then(|index| u32::try_from(index).ok());
    found.map(Resource::new_own).ok_or_else(|| {
        Error::Denied(format!("this may not open the {key} bucket {name:?}: add it to its stores = {{ {key} = [{name:?}] }}"))
    })
}

/// The bucket behind a handle.
pub(super) fn bucket<K: 'static>(granted: &GrantedBuckets, handle: &Resource<K>) -> Result<Arc<dyn Bucket>, Error> {
    let found = usize::try_from(handle.rep()).ok().and_then(|index| granted.get(index));
    found.cloned().ok_or_else(|| Error::Invalid("there is no such bucket".into()))
}

/// A guest's span of milliseconds. Zero is refused.
pub(super) fn ttl(millis: Option<u64>) -> Result<Option<Duration>, Error> {
    match millis {
        Some(0) => Err(Error::Invalid("a ttl of 0: leave it out for a value that stays, or give it some time".into())),
        millis => Ok(millis.map(|millis| Duration::from_millis(millis.min(LONGEST)))),
    }
}

/// The one answer of a call about one key.
pub(super) fn only(mut values: Vec<Option<Vec<u8>>>) -> Result<Option<Vec<u8>>, Error> {
    values.pop().ok_or_else(|| Error::Other("the store did not answer for the key".into()))
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unsupported(text) => Error::Unsupported(text),
            StoreError::TooLarge(text) => Error::TooLarge(text),
            StoreError::Invalid(text) => Error::Invalid(text),
            StoreError::Timeout => Error::Timeout,
            StoreError::Unavailable(text) => Error::Unavailable(text),
            StoreError::Other(text) => Error::Other(text),
        }
    }
}
