//! Buckets in memory, with expiry by the test's clock.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    time::{Duration, SystemTime},
};

use super::state::current;
use crate::{Error, cache::Page};

/// Numbers at the boundary stay below 2^53.
const MAX_NUMBER: u64 = 1 << 53;

/// What one bucket holds.
#[derive(Debug, Default)]
pub(crate) struct Entries(RefCell<BTreeMap<String, Entry>>);

#[derive(Clone, Debug)]
struct Entry {
    value: Vec<u8>,
    expires: Option<SystemTime>,
}

impl Entries {
    fn get(&self, key: &str) -> Option<Entry> {
        let now = current().now.get();
        let mut entries = self.0.borrow_mut();
        entries.retain(|_, entry| entry.expires.is_none_or(|expires| expires > now));
        entries.get(key).cloned()
    }

    fn set(&self, key: &str, value: &[u8], ttl: Option<u64>) -> Result<(), Error> {
        if ttl == Some(0) {
            return Err(Error::Invalid("a ttl of 0".to_owned()));
        }
        let expires = ttl.map(|ttl| current().now.get() + Duration::from_millis(ttl));
        self.0.borrow_mut().insert(key.to_owned(), Entry { value: value.to_owned(), expires });
        Ok(())
    }

    /// Sets it if the key holds `expected`; says whether it did.
    fn swap(&self, key: &str, expected: Option<&[u8]>, value: &[u8], ttl: Option<u64>) -> Result<bool, Error> {
        if self.get(key).map(|entry| entry.value).as_deref() != expected {
            return Ok(false);
        }
        self.set(key, value, ttl)?;
        Ok(true)
    }

    fn delete_matching(&self, pattern: &str) -> u64 {
        self.keys(pattern).iter().filter(|key| self.0.borrow_mut().remove(*key).is_some()).count() as u64
    }

    fn increment(&self, key: &str, by: i64, ttl: Option<u64>) -> Result<i64, Error> {
        let entry = self.get(key);
        let now = match &entry {
            None => 0,
            Some(entry) => number(&entry.value).ok_or_else(|| Error::Invalid(format!("{key} is not a number")))?,
        };
        let sum = now.checked_add(by).filter(|sum| by.unsigned_abs() <= MAX_NUMBER && sum.unsigned_abs() <= MAX_NUMBER);
        let sum = sum.ok_or_else(|| Error::Invalid(format!("{key} would leave the numbers up to 2^53")))?;
        match entry {
            None => self.set(key, sum.to_string().as_bytes(), ttl)?,
            Some(entry) => {
                let value = sum.to_string().into_bytes();
                self.0.borrow_mut().insert(key.to_owned(), Entry { value, ..entry });
            }
        }
        Ok(sum)
    }

    fn keys(&self, pattern: &str) -> Vec<String> {
        // Whatever has expired goes first.
        self.get(pattern);
        self.0.borrow().keys().filter(|key| matches(pattern, key)).cloned().collect()
    }
}

/// The number that a host would take the value for: digits with a minus or without, within [`MAX_NUMBER`].
fn number(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok().filter(|text| !text.starts_with('+'))?;
    text.parse().ok().filter(|number: &i64| number.unsigned_abs() <= MAX_NUMBER)
}

/// Whether `text` fits `pattern`, in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| matches(rest, &text[at..]))
}

/// The double of a cache's bucket.
#[derive(Debug)]
pub(crate) struct CacheBucket(Rc<Entries>);

impl CacheBucket {
    pub(crate) fn open(name: &str) -> Result<Self, Error> {
        let state = current();
        state.check(name)?;
        let mut caches = state.caches.borrow_mut();
        Ok(Self(Rc::clone(caches.entry(name.to_owned()).or_default())))
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.get(key).map(|entry| entry.value))
    }

    pub(crate) fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    pub(crate) fn set(&self, key: &str, value: &[u8], ttl: Option<u64>) -> Result<(), Error> {
        self.0.set(key, value, ttl)
    }

    pub(crate) fn set_many(&self, entries: &[(&str, &[u8])], ttl: Option<u64>) -> Result<(), Error> {
        entries.iter().try_for_each(|(key, value)| self.set(key, value, ttl))
    }

    pub(crate) fn add(&self, key: &str, value: &[u8], ttl: Option<u64>) -> Result<bool, Error> {
        self.0.swap(key, None, value, ttl)
    }

    pub(crate) fn delete(&self, key: &str) -> Result<bool, Error> {
        Ok(self.0.get(key).is_some() && self.0.0.borrow_mut().remove(key).is_some())
    }

    pub(crate) fn delete_matching(&self, pattern: &str) -> Result<u64, Error> {
        Ok(self.0.delete_matching(pattern))
    }

    pub(crate) fn increment(&self, key: &str, by: i64, ttl: Option<u64>) -> Result<i64, Error> {
        self.0.increment(key, by, ttl)
    }

    pub(crate) fn compare_and_set(&self, key: &str, expected: Option<&[u8]>, value: &[u8], ttl: Option<u64>) -> Result<bool, Error> {
        self.0.swap(key, expected, value, ttl)
    }

    pub(crate) fn ttl(&self, key: &str) -> Result<Option<u64>, Error> {
        let entry = self.0.get(key).ok_or_else(|| Error::Invalid(format!("there is no {key}")))?;
        let left = entry.expires.map(|expires| expires.duration_since(current().now.get()).unwrap_or_default());
        Ok(left.map(crate::time::millis))
    }

    /// All on one page.
    pub(crate) fn keys(&self, pattern: &str, _cursor: Option<&str>) -> Result<Page, Error> {
        Ok(Page { keys: self.0.keys(pattern), next: None })
    }
}

/// The double of a key-value bucket: one whose values never expire.
#[derive(Debug)]
pub(crate) struct KeyValueBucket(CacheBucket);

impl KeyValueBucket {
    pub(crate) fn open(name: &str) -> Result<Self, Error> {
        let state = current();
        state.check(name)?;
        let mut buckets = state.key_values.borrow_mut();
        Ok(Self(CacheBucket(Rc::clone(buckets.entry(name.to_owned()).or_default()))))
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.0.get(key)
    }

    pub(crate) fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        self.0.get_many(keys)
    }

    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        self.0.set(key, value, None)
    }

    pub(crate) fn set_many(&self, entries: &[(&str, &[u8])]) -> Result<(), Error> {
        self.0.set_many(entries, None)
    }

    pub(crate) fn add(&self, key: &str, value: &[u8]) -> Result<bool, Error> {
        self.0.add(key, value, None)
    }

    pub(crate) fn delete(&self, key: &str) -> Result<bool, Error> {
        self.0.delete(key)
    }

    pub(crate) fn delete_matching(&self, pattern: &str) -> Result<u64, Error> {
        self.0.delete_matching(pattern)
    }

    pub(crate) fn increment(&self, key: &str, by: i64) -> Result<i64, Error> {
        self.0.increment(key, by, None)
    }

    pub(crate) fn compare_and_set(&self, key: &str, expected: Option<&[u8]>, value: &[u8]) -> Result<bool, Error> {
        self.0.compare_and_set(key, expected, value, None)
    }

    pub(crate) fn keys(&self, pattern: &str, cursor: Option<&str>) -> Result<Page, Error> {
        self.0.keys(pattern, cursor)
    }
}
