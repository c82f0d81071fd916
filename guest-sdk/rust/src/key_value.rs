//! Values that stay: nothing expires, nothing is evicted. They are written at once: a message that is handled again writes again.
//!
//! Every call may answer [`Error::Unavailable`], [`Error::Timeout`] or [`Error::Unsupported`] for the store behind the bucket, and
//! [`Error::TooLarge`] for a key or value beyond its limits.

use crate::{Error, cache::Page, host};

/// A named space of keys.
#[derive(Debug)]
pub struct Bucket(host::KeyValueBucket);

/// Opens a bucket.
///
/// # Errors
/// [`Error::Denied`] unless the configuration grants this name.
pub fn open(name: &str) -> Result<Bucket, Error> {
    Ok(Bucket(host::KeyValueBucket::open(name)?))
}

impl Bucket {
    /// The value, if there is one.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.get(key)?)
    }

    /// The value as JSON, if there is one. [`Error::Invalid`] where it is no such JSON.
    #[cfg(feature = "json")]
    pub fn json<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        crate::json::read(key, self.get(key)?)
    }

    /// The same for many, in one round trip: one answer each, in the order of the keys.
    pub fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        Ok(self.0.get_many(keys)?)
    }

    /// Sets or replaces.
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
        Ok(self.0.set(key, value.as_ref())?)
    }

    /// Sets or replaces by a value's JSON. [`Error::Invalid`] where it has none.
    #[cfg(feature = "json")]
    pub fn set_json<T: serde::Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), Error> {
        self.set(key, crate::json::write(key, value)?)
    }

    /// The same for many, in one round trip. On an error some may be set.
    pub fn set_many(&self, entries: &[(&str, &[u8])]) -> Result<(), Error> {
        Ok(self.0.set_many(entries)?)
    }

    /// Sets only if there is none; says whether it did.
    pub fn add(&self, key: &str, value: impl AsRef<[u8]>) -> Result<bool, Error> {
        Ok(self.0.add(key, value.as_ref())?)
    }

    /// Says whether there was one.
    pub fn delete(&self, key: &str) -> Result<bool, Error> {
        Ok(self.0.delete(key)?)
    }

    /// Deletes what matches, `*` standing for any characters. Says how many went.
    pub fn delete_matching(&self, pattern: &str) -> Result<u64, Error> {
        Ok(self.0.delete_matching(pattern)?)
    }

    /// Adds `by` and answers the sum. Missing counts as 0. [`Error::Invalid`] where the value is no number.
    pub fn increment(&self, key: &str, by: i64) -> Result<i64, Error> {
        Ok(self.0.increment(key, by)?)
    }

    /// Sets `value` if the key still holds `expected` (none: still has no value); says whether it did.
    pub fn compare_and_set(&self, key: &str, expected: Option<&[u8]>, value: impl AsRef<[u8]>) -> Result<bool, Error> {
        Ok(self.0.compare_and_set(key, expected, value.as_ref())?)
    }

    /// The keys that match, `*` standing for any characters, a page at a time.
    pub fn keys(&self, pattern: &str, cursor: Option<&str>) -> Result<Page, Error> {
        let page = self.0.keys(pattern, cursor)?;
        Ok(Page { keys: page.keys, next: page.next })
    }
}
