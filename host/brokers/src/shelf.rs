//! What a bucket in this process does, over rows that are kept somewhere: the semantics that the memory and the embedded store share.
//!
//! All of it is synchronous and runs in one piece, under a lock or inside a transaction of the caller's. Pages of keys go by their order, so a
//! cursor is the last key of a page and survives whatever is written in between.

use std::time::Duration;

use longshore_core::{KeyPage, KeyPattern, Left, StoreError};

use crate::counter::sum;

type Result<T> = std::result::Result<T, StoreError>;

/// Keys that one page looks at.
const PAGE: usize = 1000;
/// What every cursor begins with.
const CURSOR: &str = "after:";

/// A value and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) value: Vec<u8>,
    /// Milliseconds since the Unix epoch from which on it is gone.
    pub(crate) expires: Option<u64>,
}

/// Which keys a page looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct From<'a> {
    /// What they begin with.
    pub(crate) start: &'a str,
    /// The key behind which they stand.
    pub(crate) after: Option<&'a str>,
    /// How many at most.
    pub(crate) limit: usize,
}

/// Rows that can be read. What has expired at `now` is not there.
pub(crate) trait Shelf {
    /// The row of a key.
    fn get(&self, bucket: &str, key: &str, now: u64) -> Result<Option<Held>>;
    /// Keys in their order.
    fn names(&self, bucket: &str, from: From<'_>, now: u64) -> Result<Vec<String>>;
}

/// Rows that can be changed.
pub(crate) trait ShelfMut: Shelf {
    /// Sets or replaces a row.
    fn put(&mut self, bucket: &str, key: &str, held: Held, now: u64) -> Result<()>;
    /// Removes a row; says whether it was there.
    fn remove(&mut self, bucket: &str, key: &str, now: u64) -> Result<bool>;
    /// How many rows went for want of room.
    fn dropped(&self) -> u64 {
        0
    }
}

pub(crate) fn get(shelf: &impl Shelf, bucket: &str, keys: &[String], now: u64) -> Result<Vec<Option<Vec<u8>>>> {
    keys.iter().map(|key| Ok(shelf.get(bucket, key, now)?.map(|held| held.value))).collect()
}

pub(crate) fn set(shelf: &mut impl ShelfMut, bucket: &str, entries: &[(String, Vec<u8>)], ttl: Option<Duration>, now: u64) -> Result<()> {
    entries.iter().try_for_each(|(key, value)| shelf.put(bucket, key, Held { value: value.clone(), expires: expires(ttl, now) }, now))
}

/// What a key must hold, and what it is to hold then.
#[derive(Debug, Clone)]
pub(crate) struct Swap<'a> {
    pub(crate) expected: Option<&'a [u8]>,
    pub(crate) value: &'a [u8],
    pub(crate) ttl: Option<Duration>,
}

pub(crate) fn swap(shelf: &mut impl ShelfMut, bucket: &str, key: &str, swap: &Swap<'_>, now: u64) -> Result<bool> {
    if shelf.get(bucket, key, now)?.as_ref().map(|held| held.value.as_slice()) != swap.expected {
        return Ok(false);
    }
    shelf.put(bucket, key, Held { value: swap.value.to_vec(), expires: expires(swap.ttl, now) }, now)?;
    Ok(true)
}

pub(crate) fn increment(shelf: &mut impl ShelfMut, bucket: &str, key: &str, by: i64, ttl: Option<Duration>, now: u64) -> Result<i64> {
    let held = shelf.get(bucket, key, now)?;
    let sum = sum(key, held.as_ref().map(|held| held.value.as_slice()), by)?;
    let expires = held.map_or_else(|| expires(ttl, now), |held| held.expires);
    shelf.put(bucket, key, Held { value: sum.to_string().into_bytes(), expires }, now)?;
    Ok(sum)
}

pub(crate) fn delete(shelf: &mut impl ShelfMut, bucket: &str, keys: &[String], now: u64) -> Result<u64> {
    keys.iter().try_fold(0, |gone, key| Ok(gone + u64::from(shelf.remove(bucket, key, now)?)))
}

pub(crate) fn left(shelf: &impl Shelf, bucket: &str, key: &str, now: u64) -> Result<Left> {
    Ok(match shelf.get(bucket, key, now)? {
        None => Left::Missing,
        Some(Held { expires: None, .. }) => Left::Forever,
        Some(Held { expires: Some(expires), .. }) => Left::Span(Duration::from_millis(expires.saturating_sub(now))),
    })
}

pub(crate) fn keys(shelf: &impl Shelf, bucket: &str, pattern: &KeyPattern, cursor: Option<&str>, now: u64) -> Result<KeyPage> {
    let invalid = |cursor: &str| StoreError::Invalid(format!("{cursor:?} is no cursor that a page of keys gave"));
    let after = cursor.map(|cursor| cursor.strip_prefix(CURSOR).ok_or_else(|| invalid(cursor))).transpose()?;
    let mut keys = shelf.names(bucket, From { start: pattern.start(), after, limit: PAGE }, now)?;
    let next = (keys.len() == PAGE).then(|| keys.last().map(|last| format!("{CURSOR}{last}"))).flatten();
    keys.retain(|key| pattern.matches(key));
    Ok(KeyPage { keys, next })
}

/// When a value goes that is set now.
fn expires(ttl: Option<Duration>, now: u64) -> Option<u64> {
    ttl.map(|ttl| now.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)))
}
