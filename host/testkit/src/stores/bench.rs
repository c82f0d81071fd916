//! A bucket to test on, and what tests do with it.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Bucket, KeyPage, KeyPattern, Left, StoreError, StoreRoles};
use tokio::time::Instant;

use super::StoreSubject;
use crate::servers::unique;

/// How long something may take that a test waits for.
const SOON: Duration = Duration::from_secs(20);

/// A kind of bucket, or the locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Values that may vanish.
    Cache,
    /// Values that stay.
    KeyValue,
    /// Leases on names, which have no buckets.
    Locks,
}

impl Kind {
    pub(super) const BOTH: &[Kind] = &[Kind::Cache, Kind::KeyValue];

    /// The bucket of that name.
    pub fn bucket(self, roles: &StoreRoles, name: &str) -> Arc<dyn Bucket> {
        let buckets = match self {
            Kind::Cache => roles.cache.as_ref(),
            Kind::KeyValue => roles.key_value.as_ref(),
            Kind::Locks => None,
        };
        buckets.expect("the store has the role").bucket(name)
    }
}

/// A bucket that no other test has.
pub struct Bench<'a> {
    pub(super) subject: &'a dyn StoreSubject,
    pub(super) kind: Kind,
    pub(super) roles: StoreRoles,
    pub(super) name: String,
    pub(super) bucket: Arc<dyn Bucket>,
}

impl<'a> Bench<'a> {
    pub(super) async fn new(subject: &'a dyn StoreSubject, kind: Kind) -> Self {
        let (roles, name) = (subject.connect().await, unique("b"));
        Bench { subject, kind, bucket: kind.bucket(&roles, &name), roles, name }
    }

    /// The same bucket as another host has it.
    pub(super) async fn elsewhere(&self) -> Arc<dyn Bucket> {
        self.kind.bucket(&self.subject.another(&self.roles).await, &self.name)
    }

    pub(super) async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let keys = [key.to_owned()];
        self.bucket.get(&keys).await.expect("it reads").remove(0)
    }

    pub(super) async fn set(&self, key: &str, value: impl AsRef<[u8]>, ttl: Option<Duration>) {
        let entry = [(key.to_owned(), value.as_ref().to_vec())];
        self.bucket.set(&entry, ttl).await.expect("it is set");
    }

    pub(super) async fn swap(&self, key: &str, expected: Option<&str>, value: &str) -> bool {
        self.bucket.swap(key, expected.map(str::as_bytes), value.as_bytes(), None).await.expect("it answers")
    }

    pub(super) async fn left(&self, key: &str) -> Left {
        self.bucket.left(key).await.expect("it answers")
    }

    pub(super) async fn page(&self, pattern: &str, cursor: Option<&str>) -> Result<KeyPage, StoreError> {
        self.bucket.keys(&KeyPattern::new(pattern), cursor).await
    }

    /// All keys that match, with doubles.
    pub(super) async fn keys(&self, pattern: &str) -> Vec<String> {
        let (mut keys, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.page(pattern, cursor.as_deref()).await.expect("a page");
            keys.extend(page.keys);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return keys,
            }
        }
    }

    /// Waits until a key is gone; says how long that took.
    pub(super) async fn until_gone(&self, key: &str) -> Duration {
        let begun = Instant::now();
        while self.get(key).await.is_some() {
            assert!(begun.elapsed() < SOON, "{key} is still there");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        begun.elapsed()
    }
}
