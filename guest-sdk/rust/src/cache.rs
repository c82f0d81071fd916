//! Values that may vanish: they expire, and a full store drops them. They are written at once, whatever becomes of the message.
//!
//! Every call may answer [`Error::Unavailable`], [`Error::Timeout`] or [`Error::Unsupported`] for the store behind the bucket, and
//! [`Error::TooLarge`] for a key or value beyond its limits.

use std::time::{Duration, SystemTime};

use crate::{Error, delivery, host, lock, time};

/// For how long others wait on after the host of whoever computes has died.
const LEASE: Duration = Duration::from_secs(10);
/// How long before their own call is cut off they give up waiting.
const MARGIN: Duration = Duration::from_millis(100);

/// A named space of keys.
#[derive(Debug)]
pub struct Bucket {
    inner: host::CacheBucket,
    name: String,
}

/// Some of the keys that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In no particular order; a key may come twice while others write.
    pub keys: Vec<String>,
    /// Hand it back for the next page; none after the last. A page may be empty and still have a next.
    pub next: Option<String>,
}

/// Opens a bucket.
///
/// # Errors
/// [`Error::Denied`] unless the configuration grants this name.
pub fn open(name: &str) -> Result<Bucket, Error> {
    Ok(Bucket { inner: host::CacheBucket::open(name)?, name: name.to_owned() })
}

impl Bucket {
    /// The value, if there is one (still).
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.inner.get(key)?)
    }

    /// The value as JSON, if there is one (still). [`Error::Invalid`] where it is no such JSON.
    #[cfg(feature = "json")]
    pub fn json<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        crate::json::read(key, self.get(key)?)
    }

    /// The value, or else what `compute` makes, which is then set for `ttl`. Of all who miss it at once, on whatever hosts, one computes it and
    /// the others wait for that; when it fails, the next one tries.
    ///
    /// Who computes has the lock `cache:<bucket>:<key>` for ten seconds and as long as it takes, which the configuration has to grant:
    /// `stores = { locks = ["cache:*"] }`.
    ///
    /// # Errors
    /// That of `compute`; besides those of [`get`](Self::get) and [`set`](Self::set) [`Error::Denied`] without the lock's grant,
    /// [`Error::TooLarge`] where the lock's name is longer than its store allows, [`Error::Invalid`] where `max-lock-ttl` is below ten seconds,
    /// and [`Error::Timeout`] when nobody was done with it by the time that this call's [`deadline`](crate::delivery::deadline) is near.
    pub fn get_or_compute<E: From<Error>>(
        &self,
        key: &str,
        ttl: Option<Duration>,
        compute: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        if let Some(value) = self.get(key)? {
            return Ok(value);
        }
        let left = delivery::deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let wait = left.saturating_sub(MARGIN).max(Duration::from_millis(1));
        let alone = lock::acquire(&format!("cache:{}:{key}", self.name), LEASE, wait)?;
        alone.keep()?;
        // Who had it before us computed it.
        if let Some(value) = self.get(key)? {
            return Ok(value);
        }
        let value = compute()?;
        self.set(key, &value, ttl)?;
        Ok(value)
    }

    /// The same with a value as JSON.
    #[cfg(feature = "json")]
    pub fn json_or_compute<T: serde::Serialize + serde::de::DeserializeOwned, E: From<Error>>(
        &self,
        key: &str,
        ttl: Option<Duration>,
        compute: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let value = self.get_or_compute(key, ttl, || Ok::<_, E>(crate::json::write(key, &compute()?)?))?;
        Ok(crate::json::parse(key, &value)?)
    }

    /// The same as [`get`](Self::get) for many, in one round trip: one answer each, in the order of the keys.
    pub fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        Ok(self.inner.get_many(keys)?)
    }

    /// Sets or replaces. It vanishes `ttl` from now; without, when the store needs the room.
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>, ttl: Option<Duration>) -> Result<(), Error> {
        Ok(self.inner.set(key, value.as_ref(), ttl.map(time::millis))?)
    }

    /// Sets or replaces by a value's JSON. [`Error::Invalid`] where it has none.
    #[cfg(feature = "json")]
    pub fn set_json<T: serde::Serialize + ?Sized>(&self, key: &str, value: &T, ttl: Option<Duration>) -> Result<(), Error> {
        self.set(key, crate::json::write(key, value)?, ttl)
    }

    /// The same for many, in one round trip. On an error some may be set.
    pub fn set_many(&self, entries: &[(&str, &[u8])], ttl: Option<Duration>) -> Result<(), Error> {
        Ok(self.inner.set_many(entries, ttl.map(time::millis))?)
    }

    /// Sets only if there is none; says whether it did.
    pub fn add(&self, key: &str, value: impl AsRef<[u8]>, ttl: Option<Duration>) -> Result<bool, Error> {
        Ok(self.inner.add(key, value.as_ref(), ttl.map(time::millis))?)
    }

    /// Says whether there was one.
    pub fn delete(&self, key: &str) -> Result<bool, Error> {
        Ok(self.inner.delete(key)?)
    }

    /// Deletes what matches, `*` standing for any characters. Says how many went.
    pub fn delete_matching(&self, pattern: &str) -> Result<u64, Error> {
        Ok(self.inner.delete_matching(pattern)?)
    }

    /// Adds `by` and answers the sum. Missing counts as 0, and then `ttl` applies. [`Error::Invalid`] where the value is no number.
    pub fn increment(&self, key: &str, by: i64, ttl: Option<Duration>) -> Result<i64, Error> {
        Ok(self.inner.increment(key, by, ttl.map(time::millis))?)
    }

    /// Sets `value` if the key still holds `expected` (none: still has no value); says whether it did.
    pub fn compare_and_set(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: impl AsRef<[u8]>,
        ttl: Option<Duration>,
    ) -> Result<bool, Error> {
        Ok(self.inner.compare_and_set(key, expected, value.as_ref(), ttl.map(time::millis))?)
    }

    /// What is left of the key's time; none when it never expires. [`Error::Invalid`] when it is not there.
    pub fn ttl(&self, key: &str) -> Result<Option<Duration>, Error> {
        Ok(self.inner.ttl(key)?.map(Duration::from_millis))
    }

    /// The keys that match, `*` standing for any characters, a page at a time.
    pub fn keys(&self, pattern: &str, cursor: Option<&str>) -> Result<Page, Error> {
        let page = self.inner.keys(pattern, cursor)?;
        Ok(Page { keys: page.keys, next: page.next })
    }
}
