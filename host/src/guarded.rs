//! Puts a store's `timeout`, `max-key-size`, `max-value-size` and `default-ttl` around a bucket, the same for a guest, a command and HTTP.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Bucket, KeyPage, KeyPattern, Left, StoreAnswer, StoreError};

use crate::config::StoreConfig;

/// Buckets of a kind that a store has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BucketKind {
    /// Values that may vanish.
    Cache,
    /// Values that stay.
    KeyValue,
}

/// A bucket within bounds.
pub(crate) struct Guarded {
    bucket: Arc<dyn Bucket>,
    store: String,
    timeout: Duration,
    max_key: usize,
    max_value: usize,
    default_ttl: Option<Duration>,
}

impl Guarded {
    /// A bucket of a store.
    pub(crate) fn new(bucket: Arc<dyn Bucket>, kind: BucketKind, config: &StoreConfig) -> Self {
        Guarded {
            bucket,
            store: config.name.clone(),
            timeout: config.timeout,
            max_key: config.max_key_size,
            max_value: config.max_value_size,
            default_ttl: config.default_ttl.filter(|_| kind == BucketKind::Cache),
        }
    }

    fn key(&self, key: &str) -> Result<(), StoreError> {
        if key.is_empty() {
            return Err(StoreError::Invalid("an empty key".into()));
        }
        self.within("key", key.len(), self.max_key, "max-key-size")
    }

    fn keys_of<'k>(&self, mut keys: impl Iterator<Item = &'k String>) -> Result<(), StoreError> {
        keys.try_for_each(|key| self.key(key))
    }

    fn value(&self, value: &[u8]) -> Result<(), StoreError> {
        self.within("value", value.len(), self.max_value, "max-value-size")
    }

    fn within(&self, what: &str, bytes: usize, most: usize, key: &str) -> Result<(), StoreError> {
        if bytes <= most {
            return Ok(());
        }
        Err(StoreError::TooLarge(format!("a {what} of {bytes} bytes is more than the {most} that store {:?} takes ({key})", self.store)))
    }

    async fn bounded<T>(&self, answer: StoreAnswer<'_, T>) -> Result<T, StoreError> {
        let answer = tokio::time::timeout(self.timeout, answer).await.map_err(|_| StoreError::Timeout)?;
        answer.map_err(|error| match error {
            StoreError::Unavailable(why) => StoreError::Unavailable(format!("store {:?}: {why}", self.store)),
            StoreError::Other(why) => StoreError::Other(format!("store {:?}: {why}", self.store)),
            told => told,
        })
    }
}

impl Bucket for Guarded {
    fn get<'a>(&'a self, keys: &'a [String]) -> StoreAnswer<'a, Vec<Option<Vec<u8>>>> {
        Box::pin(async move {
            self.keys_of(keys.iter())?;
            self.bounded(self.bucket.get(keys)).await
        })
    }

    fn set<'a>(&'a self, entries: &'a [(String, Vec<u8>)], ttl: Option<Duration>) -> StoreAnswer<'a, ()> {
        Box::pin(async move {
            self.keys_of(entries.iter().map(|(key, _)| key))?;
            entries.iter().try_for_each(|(_, value)| self.value(value))?;
            self.bounded(self.bucket.set(entries, ttl.or(self.default_ttl))).await
        })
    }

    fn swap<'a>(&'a self, key: &'a str, expected: Option<&'a [u8]>, value: &'a [u8], ttl: Option<Duration>) -> StoreAnswer<'a, bool> {
        Box::pin(async move {
            self.key(key).and_then(|()| self.value(value))?;
            self.bounded(self.bucket.swap(key, expected, value, ttl.or(self.default_ttl))).await
        })
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64, ttl: Option<Duration>) -> StoreAnswer<'a, i64> {
        Box::pin(async move {
            self.key(key)?;
            self.bounded(self.bucket.increment(key, by, ttl.or(self.default_ttl))).await
        })
    }

    fn delete<'a>(&'a self, keys: &'a [String]) -> StoreAnswer<'a, u64> {
        Box::pin(async move {
            self.keys_of(keys.iter())?;
            self.bounded(self.bucket.delete(keys)).await
        })
    }

    fn left<'a>(&'a self, key: &'a str) -> StoreAnswer<'a, Left> {
        Box::pin(async move {
            self.key(key)?;
            self.bounded(self.bucket.left(key)).await
        })
    }

    fn keys<'a>(&'a self, pattern: &'a KeyPattern, cursor: Option<&'a str>) -> StoreAnswer<'a, KeyPage> {
        Box::pin(self.bounded(self.bucket.keys(pattern, cursor)))
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::{Clock, Connect};
    use serde_json::json;

    use super::*;

    /// Answers nothing, ever.
    struct Hangs;

    impl Bucket for Hangs {
        fn get<'a>(&'a self, _: &'a [String]) -> StoreAnswer<'a, Vec<Option<Vec<u8>>>> {
            Box::pin(std::future::pending())
        }
        fn set<'a>(&'a self, _: &'a [(String, Vec<u8>)], _: Option<Duration>) -> StoreAnswer<'a, ()> {
            Box::pin(std::future::pending())
        }
        fn swap<'a>(&'a self, _: &'a str, _: Option<&'a [u8]>, _: &'a [u8], _: Option<Duration>) -> StoreAnswer<'a, bool> {
            Box::pin(std::future::pending())
        }
        fn increment<'a>(&'a self, _: &'a str, _: i64, _: Option<Duration>) -> StoreAnswer<'a, i64> {
            Box::pin(std::future::pending())
        }
        fn delete<'a>(&'a self, _: &'a [String]) -> StoreAnswer<'a, u64> {
            Box::pin(std::future::pending())
        }
        fn left<'a>(&'a self, _: &'a str) -> StoreAnswer<'a, Left> {
            Box::pin(std::future::pending())
        }
        fn keys<'a>(&'a self, _: &'a KeyPattern, _: Option<&'a str>) -> StoreAnswer<'a, KeyPage> {
            Box::pin(std::future::pending())
        }
    }

    fn config() -> StoreConfig {
        StoreConfig {
            name: "shared".into(),
            registration: crate::STORES.iter().copied().find(|store| store.name == "memory").expect("tests have it"),
            settings: json!({}),
            shown: json!({}),
            timeout: Duration::from_secs(5),
            max_key_size: 10,
            max_value_size: 20,
            default_ttl: Some(Duration::from_secs(60)),
        }
    }

    async fn in_memory(kind: BucketKind) -> Guarded {
        let folder = std::path::PathBuf::new();
        let connect = Connect { name: "shared".into(), folder, clock: Clock::new(|| 1000), admin: None, topics: Vec::new() };
        let connecting = (config().registration.connect)(json!({}), connect).expect("it has no keys that it needs");
        let roles = connecting.await.expect("memory is always there");
        let buckets = if kind == BucketKind::Cache { roles.cache } else { roles.key_value };
        Guarded::new(buckets.expect("it has both").bucket("b"), kind, &config())
    }

    #[tokio::test]
    async fn what_is_too_large_is_told_with_both_sizes_and_changes_nothing() {
        let bucket = in_memory(BucketKind::Cache).await;
        let long = ["k".repeat(11)];
        let told = |error: StoreError| error.to_string();
        let expected = "too large: a key of 11 bytes is more than the 10 that store \"shared\" takes (max-key-size)";
        assert_eq!(bucket.get(&long).await.map_err(told), Err(expected.into()));
        assert_eq!(bucket.delete(&long).await.map_err(told), Err(expected.into()));
        assert_eq!(bucket.increment(&long[0], 1, None).await.map_err(told), Err(expected.into()));
        let entries = [("a".to_owned(), vec![0; 20]), ("b".to_owned(), vec![0; 21])];
        let expected = "too large: a value of 21 bytes is more than the 20 that store \"shared\" takes (max-value-size)";
        assert_eq!(bucket.set(&entries, None).await.map_err(told), Err(expected.into()));
        assert_eq!(bucket.swap("b", None, &[0; 21], None).await.map_err(told), Err(expected.into()));
        assert_eq!(bucket.left("").await, Err(StoreError::Invalid("an empty key".into())));
        assert_eq!(bucket.keys(&KeyPattern::new("*"), None).await, Ok(KeyPage::default()));
        assert_eq!(bucket.set(&entries[..1], None).await, Ok(()));
    }

    #[tokio::test]
    async fn the_default_time_is_for_caches_and_for_who_gives_none() {
        let minute = Left::Span(Duration::from_secs(60));
        for (kind, expected) in [(BucketKind::Cache, minute), (BucketKind::KeyValue, Left::Forever)] {
            let bucket = in_memory(kind).await;
            bucket.set(&[("set".to_owned(), Vec::new())], None).await.expect("it is set");
            bucket.swap("swapped", None, b"", None).await.expect("it is swapped");
            bucket.increment("counted", 1, None).await.expect("it is counted");
            for key in ["set", "swapped", "counted"] {
                assert_eq!(bucket.left(key).await, Ok(expected), "{kind:?} {key}");
            }
        }
        let bucket = in_memory(BucketKind::Cache).await;
        bucket.set(&[("k".to_owned(), Vec::new())], Some(Duration::from_secs(5))).await.expect("it is set");
        assert_eq!(bucket.left("k").await, Ok(Left::Span(Duration::from_secs(5))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_is_a_timeout() {
        let bucket = Guarded::new(Arc::new(Hangs), BucketKind::Cache, &config());
        assert_eq!(bucket.get(&["k".to_owned()]).await, Err(StoreError::Timeout));
        assert_eq!(bucket.increment("k", 1, None).await, Err(StoreError::Timeout));
    }
}
