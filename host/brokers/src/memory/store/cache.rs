//! Caches in memory: bounded by bytes, dropping what was not used for long. The policy (S3-FIFO) is quick_cache's; here is what it does not
//! have: times, by which what has expired goes, and the order of keys, by which pages of them go.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use longshore_core::StoreError;
use quick_cache::unsync;
use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter};

use crate::shelf::{From, Held, Shelf, ShelfMut};

type Result<T> = std::result::Result<T, StoreError>;

/// Bytes that an entry takes besides those of its key and value.
const OVERHEAD: u64 = 96;
/// Bytes of an entry that the cache is made ready for; it grows where they are fewer.
const USUAL: u64 = 1024;
/// Entries that have expired and go with each that is put.
const SWEEP: usize = 8;

/// All caches of a store.
pub(super) struct Cache {
    entries: unsync::Cache<Key, Held, Bytes, Hasher, Gone>,
    names: BTreeSet<Key>,
    /// Those that expire, by when.
    times: BTreeSet<(u64, Key)>,
    dropped: u64,
}

type Hasher = foldhash::fast::RandomState;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    bucket: Arc<str>,
    key: Arc<str>,
}

/// A key that is asked for. It has the hash of the [`Key`] that it is.
#[derive(Hash)]
struct Asked<'a> {
    bucket: &'a str,
    key: &'a str,
}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.key == *key.key && *self.bucket == *key.bucket
    }
}

/// What an entry weighs.
#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Held> for Bytes {
    fn weight(&self, key: &Key, held: &Held) -> u64 {
        OVERHEAD + (key.bucket.len() + key.key.len() + held.value.len()) as u64
    }
}

/// Tells which keys are dropped for others.
#[derive(Clone)]
struct Gone;

impl Lifecycle<Key, Held> for Gone {
    type RequestState = Vec<(Key, Option<u64>)>;

    fn on_evict(&self, gone: &mut Self::RequestState, key: Key, held: Held) {
        gone.push((key, held.expires));
    }
}

impl Cache {
    /// Caches of so many bytes together.
    pub(super) fn new(max_size: u64) -> Self {
        let expected = usize::try_from(max_size / USUAL).unwrap_or(usize::MAX).clamp(16, 1 << 16);
        let mut options = OptionsBuilder::new();
        options.estimated_items_capacity(expected).weight_capacity(max_size);
        let options = options.build().expect("both numbers that it needs are given");
        Cache {
            entries: unsync::Cache::with_options(options, Bytes, Hasher::default(), Gone),
            names: BTreeSet::new(),
            times: BTreeSet::new(),
            dropped: 0,
        }
    }

    /// Removes some of what has expired, so that it does not gather where nobody asks for it any more.
    fn sweep(&mut self, now: u64) {
        for _ in 0..SWEEP {
            let Some((_, key)) = self.times.first().filter(|(expires, _)| *expires <= now).cloned() else { return };
            self.forget(&key.bucket, &key.key);
        }
    }

    fn forget(&mut self, bucket: &str, key: &str) -> Option<Held> {
        let (key, held) = self.entries.remove(&Asked { bucket, key })?;
        self.names.remove(&key);
        if let Some(expires) = held.expires {
            self.times.remove(&(expires, key));
        }
        Some(held)
    }
}

fn lives(held: &Held, now: u64) -> bool {
    held.expires.is_none_or(|expires| expires > now)
}

impl Shelf for Cache {
    fn get(&self, bucket: &str, key: &str, now: u64) -> Result<Option<Held>> {
        Ok(self.entries.get(&Asked { bucket, key }).filter(|held| lives(held, now)).cloned())
    }

    fn names(&self, bucket: &str, from: From<'_>, now: u64) -> Result<Vec<String>> {
        let at = |key: &str| Key { bucket: bucket.into(), key: key.into() };
        let first = from.after.map_or_else(|| Bound::Included(at(from.start)), |after| Bound::Excluded(at(after)));
        let meant = self.names.range((first, Bound::Unbounded));
        let meant = meant.take_while(|name| *name.bucket == *bucket && name.key.starts_with(from.start));
        let alive = meant.filter(|name| self.entries.peek(*name).is_some_and(|held| lives(held, now)));
        Ok(alive.take(from.limit).map(|name| name.key.to_string()).collect())
    }
}

impl ShelfMut for Cache {
    fn put(&mut self, bucket: &str, key: &str, held: Held, now: u64) -> Result<()> {
        self.sweep(now);
        let key = Key { bucket: bucket.into(), key: key.into() };
        if let Some(expires) = self.entries.peek(&key).and_then(|old| old.expires) {
            self.times.remove(&(expires, key.clone()));
        }
        self.names.insert(key.clone());
        self.times.extend(held.expires.map(|expires| (expires, key.clone())));
        let mut gone = Vec::new();
        self.entries.insert_with_lifecycle(key, held, &mut gone);
        // Also the old value of this key is told.
        for (key, expires) in gone.into_iter().filter(|(key, _)| !self.entries.contains_key(key)) {
            self.dropped += 1;
            self.names.remove(&key);
            if let Some(expires) = expires {
                self.times.remove(&(expires, key));
            }
        }
        Ok(())
    }

    fn remove(&mut self, bucket: &str, key: &str, now: u64) -> Result<bool> {
        Ok(self.forget(bucket, key).is_some_and(|held| lives(&held, now)))
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(bytes: usize) -> Held {
        Held { value: vec![0; bytes], expires: None }
    }

    fn all(cache: &Cache) -> Vec<String> {
        cache.names("b", From { start: "", after: None, limit: usize::MAX }, 0).expect("it reads")
    }

    #[test]
    fn a_full_cache_drops_values_and_keeps_what_is_used() {
        let mut cache = Cache::new(100_000);
        cache.put("b", "used", held(900), 0).expect("it is put");
        for n in 0..1000 {
            assert!(cache.get("b", "used", 0).expect("it reads").is_some(), "after {n}");
            cache.put("b", &format!("k{n}"), held(900), 0).expect("it is put");
            assert!(cache.entries.weight() <= 100_000);
        }
        let names = all(&cache);
        assert!((50..=100).contains(&names.len()), "{}", names.len());
        assert!(names.iter().all(|key| cache.get("b", key, 0).expect("it reads").is_some()), "names and values agree");
        assert_eq!(cache.names.len(), cache.entries.len());
        assert_eq!(cache.dropped, 1001 - names.len() as u64);
    }

    #[test]
    fn what_has_expired_goes_as_others_are_put() {
        let mut cache = Cache::new(1 << 20);
        let put =
            |cache: &mut Cache, key: &str, expires, now| cache.put("b", key, Held { value: Vec::new(), expires }, now).expect("it is put");
        for n in 0..20 {
            put(&mut cache, &format!("k{n}"), Some(100), 0);
        }
        put(&mut cache, "k0", Some(300), 0);
        put(&mut cache, "k1", None, 0);
        for n in 0..4 {
            put(&mut cache, &format!("later{n}"), Some(200), 100);
        }
        assert_eq!(cache.names.len(), 6, "k0, k1 and the later ones: {:?}", cache.names);
        assert_eq!((cache.entries.len(), cache.times.len()), (6, 5));
        put(&mut cache, "last", None, 300);
        assert_eq!(all(&cache), ["k1", "last"]);
        assert!(cache.times.is_empty());
    }

    #[test]
    fn what_is_larger_than_all_is_not_kept() {
        let mut cache = Cache::new(1000);
        cache.put("b", "small", held(10), 0).expect("it is put");
        cache.put("b", "small", held(2000), 0).expect("it is put");
        assert_eq!(cache.get("b", "small", 0), Ok(None), "not the old value either");
        assert!(all(&cache).is_empty());
    }
}
