//! Puts a store's `timeout`, `max-key-size`, `max-value-size` and `default-ttl` around a bucket, the same for a guest, a command and HTTP; and
//! bounds what one call can have this process hold.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Bucket, KeyPage, KeyPattern, Left, StoreAnswer, StoreError};

use crate::config::StoreConfig;

/// Bytes of values that one call can answer, where one value has no more.
const ANSWER: usize = 64 << 20;
/// Bytes of a key that can be removed, and of a cursor, which leads to a key: both may be from when `max-key-size` was more.
const ANY_KEY: usize = 64 << 10;
/// The longest time to live: every guest language can hold its milliseconds, and every store's clock.
const LONGEST: Duration = Duration::from_millis((1 << 53) - 1);

/// Buckets of a kind that a store has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BucketKind {
    /// Values that may vanish.
    Cache,
    /// Values that stay.
    KeyValue,
    /// What the host remembers of messages: no guest has any.
    Inbox,
}

/// What bounds everything that is asked of a store.
#[derive(Clone)]
pub(crate) struct Bounds {
    store: String,
    timeout: Duration,
}

impl Bounds {
    pub(crate) fn new(config: &StoreConfig) -> Self {
        Bounds { store: config.name.clone(), timeout: config.timeout }
    }

    pub(crate) fn within(&self, what: &str, bytes: usize, most: usize, key: &str) -> Result<(), StoreError> {
        if bytes <= most {
            return Ok(());
        }
        Err(StoreError::TooLarge(format!("a {what} of {bytes} bytes is more than the {most} that store {:?} takes ({key})", self.store)))
    }

    /// An answer within the store's time, and a `wait` that was asked for; errors name the store.
    pub(crate) async fn bounded<T>(&self, wait: Duration, answer: StoreAnswer<'_, T>) -> Result<T, StoreError> {
        let bound = self.timeout.saturating_add(wait);
        let answer = tokio::time::timeout(bound, answer).await.map_err(|_| StoreError::Timeout)?;
        answer.map_err(|error| match error {
            StoreError::Unavailable(why) => StoreError::Unavailable(format!("store {:?}: {why}", self.store)),
            StoreError::Other(why) => StoreError::Other(format!("store {:?}: {why}", self.store)),
            told => told,
        })
    }
}

/// A bucket within bounds.
pub(crate) struct Guarded {
    bucket: Arc<dyn Bucket>,
    bounds: Bounds,
    max_key: usize,
    max_value: usize,
    default_ttl: Option<Duration>,
}

impl Guarded {
    /// A bucket of a store.
    pub(crate) fn new(bucket: Arc<dyn Bucket>, kind: BucketKind, config: &StoreConfig) -> Self {
        Guarded {
            bucket,
            bounds: Bounds::new(config),
            max_key: config.max_key_size,
            max_value: config.max_value_size,
            default_ttl: config.default_ttl.filter(|_| kind == BucketKind::Cache),
        }
    }

    fn key(&self, key: &str) -> Result<(), StoreError> {
        not_empty(key)?;
        self.within("key", key.len(), self.max_key, "max-key-size")
    }

    fn keys_of<'k>(&self, mut keys: impl Iterator<Item = &'k String>) -> Result<(), StoreError> {
        keys.try_for_each(|key| self.key(key))
    }

    fn pattern(&self, pattern: &KeyPattern) -> Result<(), StoreError> {
        self.within("pattern", pattern.as_str().len(), self.max_key, "max-key-size")
    }

    /// What `ttl` is where none is given; no more than any store can count.
    fn ttl(&self, ttl: Option<Duration>) -> Result<Option<Duration>, StoreError> {
        match ttl.or(self.default_ttl) {
            Some(ttl) if ttl > LONGEST => Err(StoreError::Invalid(format!(
                "a ttl of {} ms is more than the {} ms that a value can have",
                ttl.as_millis(),
                LONGEST.as_millis()
            ))),
            ttl => Ok(ttl),
        }
    }

    fn value(&self, value: &[u8]) -> Result<(), StoreError> {
        self.within("value", value.len(), self.max_value, "max-value-size")
    }

    fn within(&self, what: &str, bytes: usize, most: usize, key: &str) -> Result<(), StoreError> {
        self.bounds.within(what, bytes, most, key)
    }

    /// The values of `keys`, in one round trip where they cannot be more than [`ANSWER`], else in several.
    async fn values(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let most = ANSWER.max(self.max_value);
        let (mut values, mut bytes) = (Vec::new(), 0);
        for (i, some) in keys.chunks((ANSWER / self.max_value.max(1)).max(1)).enumerate() {
            if i > 0 {
                // A store may answer without ever waiting.
                tokio::task::yield_now().await;
            }
            let got = self.bucket.get(some).await?;
            bytes += got.iter().flatten().map(Vec::len).sum::<usize>();
            if bytes > most && keys.len() > 1 {
                let told = format!("the values of these {} keys are more than {most} bytes together: ask for fewer at once", keys.len());
                return Err(StoreError::TooLarge(told));
            }
            values.extend(got);
        }
        Ok(values)
    }

    async fn bounded<T>(&self, answer: StoreAnswer<'_, T>) -> Result<T, StoreError> {
        self.bounds.bounded(Duration::ZERO, answer).await
    }
}

impl Bucket for Guarded {
    fn get<'a>(&'a self, keys: &'a [String]) -> StoreAnswer<'a, Vec<Option<Vec<u8>>>> {
        Box::pin(async move {
            self.keys_of(keys.iter())?;
            self.bounded(Box::pin(self.values(keys))).await
        })
    }

    fn set<'a>(&'a self, entries: &'a [(String, Vec<u8>)], ttl: Option<Duration>) -> StoreAnswer<'a, ()> {
        Box::pin(async move {
            self.keys_of(entries.iter().map(|(key, _)| key))?;
            entries.iter().try_for_each(|(_, value)| self.value(value))?;
            self.bounded(self.bucket.set(entries, self.ttl(ttl)?)).await
        })
    }

    fn swap<'a>(&'a self, key: &'a str, expected: Option<&'a [u8]>, value: &'a [u8], ttl: Option<Duration>) -> StoreAnswer<'a, bool> {
        Box::pin(async move {
            self.key(key).and_then(|()| self.value(value))?;
            self.bounded(self.bucket.swap(key, expected, value, self.ttl(ttl)?)).await
        })
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64, ttl: Option<Duration>) -> StoreAnswer<'a, i64> {
        Box::pin(async move {
            self.key(key)?;
            self.bounded(self.bucket.increment(key, by, self.ttl(ttl)?)).await
        })
    }

    fn delete<'a>(&'a self, keys: &'a [String]) -> StoreAnswer<'a, u64> {
        Box::pin(async move {
            for key in keys {
                not_empty(key)?;
                self.within("key", key.len(), self.max_key.max(ANY_KEY), "max-key-size")?;
            }
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
        Box::pin(async move {
            self.pattern(pattern)?;
            self.within("cursor", cursor.map_or(0, str::len), self.max_key.max(ANY_KEY).saturating_mul(2), "max-key-size")?;
            self.bounded(self.bucket.keys(pattern, cursor)).await
        })
    }

    /// Each page and each removal is bounded, not all of them together. Keys that a page has go, also those that could not be set any more.
    fn delete_matching<'a>(&'a self, pattern: &'a KeyPattern) -> StoreAnswer<'a, u64> {
        Box::pin(async move {
            self.pattern(pattern)?;
            let (mut gone, mut cursor) = (0, None);
            loop {
                let page = self.bounded(self.bucket.keys(pattern, cursor.as_deref())).await?;
                if !page.keys.is_empty() {
                    gone += self.bounded(self.bucket.delete(&page.keys)).await?;
                }
                match page.next {
                    Some(next) => cursor = Some(next),
                    None => return Ok(gone),
                }
                // A store may answer without ever waiting.
                tokio::task::yield_now().await;
            }
        })
    }
}

fn not_empty(key: &str) -> Result<(), StoreError> {
    if key.is_empty() { Err(StoreError::Invalid("an empty key".into())) } else { Ok(()) }
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
            max_lock_ttl: Duration::from_secs(60),
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
        assert_eq!(bucket.increment(&long[0], 1, None).await.map_err(told), Err(expected.into()));
        let entries = [("a".to_owned(), vec![0; 20]), ("b".to_owned(), vec![0; 21])];
        let expected = "too large: a value of 21 bytes is more than the 20 that store \"shared\" takes (max-value-size)";
        assert_eq!(bucket.set(&entries, None).await.map_err(told), Err(expected.into()));
        assert_eq!(bucket.swap("b", None, &[0; 21], None).await.map_err(told), Err(expected.into()));
        assert_eq!(bucket.left("").await, Err(StoreError::Invalid("an empty key".into())));
        assert_eq!(bucket.keys(&KeyPattern::new("*"), None).await, Ok(KeyPage::default()));
        let pattern = KeyPattern::new("*a".repeat(6));
        let expected = "too large: a pattern of 12 bytes is more than the 10 that store \"shared\" takes (max-key-size)";
        assert_eq!(bucket.keys(&pattern, None).await.map_err(told), Err(expected.into()));
        assert_eq!(bucket.delete_matching(&pattern).await.map_err(told), Err(expected.into()));
        let far = "x".repeat(200_000);
        let refused = bucket.keys(&KeyPattern::new("*"), Some(&far)).await;
        assert!(matches!(&refused, Err(StoreError::TooLarge(why)) if why.contains("a cursor of 200000 bytes")), "{refused:?}");
        assert_eq!(bucket.keys(&KeyPattern::new("*".repeat(1000)), None).await, Ok(KeyPage::default()), "stars beside each other are one");
        assert_eq!(bucket.set(&entries[..1], None).await, Ok(()));
    }

    #[tokio::test]
    async fn the_values_of_many_keys_are_bounded_together() {
        let bucket = Guarded { max_value: 16 << 20, ..in_memory(BucketKind::KeyValue).await };
        bucket.set(&[("large".to_owned(), vec![0; 15 << 20]), ("small".to_owned(), vec![1])], None).await.expect("both are set");
        let keys = |key: &str, times| vec![key.to_owned(); times];
        let lengths = bucket.get(&keys("large", 4)).await.map(|values| values.iter().flatten().map(Vec::len).collect::<Vec<_>>());
        assert_eq!(lengths, Ok(vec![15 << 20; 4]));
        let refused = bucket.get(&keys("large", 1_000_000)).await;
        let expected = "the values of these 1000000 keys are more than 67108864 bytes together: ask for fewer at once";
        assert_eq!(refused, Err(StoreError::TooLarge(expected.into())));
        assert_eq!(bucket.get(&keys("small", 1001)).await, Ok(vec![Some(vec![1]); 1001]), "in order, whatever the round trips");
        assert_eq!(bucket.get(&keys("none", 9)).await, Ok(vec![None; 9]));
    }

    /// Keys from when `max-key-size` was more cannot be used, but they can go.
    #[tokio::test]
    async fn what_was_set_under_another_limit_can_be_removed() {
        let bucket = in_memory(BucketKind::KeyValue).await;
        let long: Vec<(String, Vec<u8>)> = (0..2500).map(|n| (format!("a key from before {n:04}"), Vec::new())).collect();
        bucket.bucket.set(&long, None).await.expect("the store itself has no limit");
        bucket.bucket.set(&[(String::new(), Vec::new())], None).await.expect("nor for what is empty");
        assert_eq!(bucket.delete(&[long[0].0.clone()]).await, Ok(1));
        assert_eq!(bucket.delete_matching(&KeyPattern::new("*")).await, Ok(2500));
        assert_eq!(bucket.keys(&KeyPattern::new("*"), None).await, Ok(KeyPage::default()));
        let refused = bucket.delete(&["k".repeat(ANY_KEY + 1)]).await;
        assert!(matches!(&refused, Err(StoreError::TooLarge(why)) if why.contains("more than the 65536")), "{refused:?}");
    }

    #[tokio::test]
    async fn a_time_that_no_store_could_hold_is_refused_with_the_longest() {
        let bucket = in_memory(BucketKind::Cache).await;
        let entry = [("k".to_owned(), Vec::new())];
        assert_eq!(bucket.set(&entry, Some(LONGEST)).await, Ok(()));
        let refused = bucket.set(&entry, Some(LONGEST + Duration::from_millis(1))).await;
        let expected = "a ttl of 9007199254740992 ms is more than the 9007199254740991 ms that a value can have";
        assert_eq!(refused, Err(StoreError::Invalid(expected.into())));
        assert!(
            bucket.swap("k", None, b"", Some(Duration::MAX)).await.is_err() && bucket.increment("n", 1, Some(Duration::MAX)).await.is_err()
        );
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
        assert_eq!(bucket.delete_matching(&KeyPattern::new("*")).await, Err(StoreError::Timeout));
    }
}
