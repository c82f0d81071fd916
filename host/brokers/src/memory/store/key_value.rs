//! Key-value buckets in memory: ordered, and nothing in them goes by itself.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use longshore_core::StoreError;

use crate::shelf::{From, Held, Shelf, ShelfMut};

type Result<T> = std::result::Result<T, StoreError>;

/// All key-value buckets.
#[derive(Default)]
pub(super) struct KeyValue {
    buckets: HashMap<String, BTreeMap<String, Held>>,
}

impl Shelf for KeyValue {
    fn get(&self, bucket: &str, key: &str, _now: u64) -> Result<Option<Held>> {
        Ok(self.buckets.get(bucket).and_then(|rows| rows.get(key)).cloned())
    }

    fn names(&self, bucket: &str, from: From<'_>, _now: u64) -> Result<Vec<String>> {
        let Some(rows) = self.buckets.get(bucket) else { return Ok(Vec::new()) };
        let first = from.after.map_or(Bound::Included(from.start), Bound::Excluded);
        let meant = rows.range::<str, _>((first, Bound::Unbounded)).map(|(key, _)| key);
        Ok(meant.take_while(|key| key.starts_with(from.start)).take(from.limit).cloned().collect())
    }
}

impl ShelfMut for KeyValue {
    fn put(&mut self, bucket: &str, key: &str, held: Held, _now: u64) -> Result<()> {
        if !self.buckets.contains_key(bucket) {
            self.buckets.insert(bucket.into(), BTreeMap::new());
        }
        if let Some(rows) = self.buckets.get_mut(bucket) {
            rows.insert(key.into(), held);
        }
        Ok(())
    }

    fn remove(&mut self, bucket: &str, key: &str, _now: u64) -> Result<bool> {
        Ok(self.buckets.get_mut(bucket).is_some_and(|rows| rows.remove(key).is_some()))
    }
}
