//! Values in stores.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use longshore_admin::control::{Answer, StoreControl};
use longshore_admin::model::{BucketKind as Kind, Count, Health, InBucket, KeyList, SetValue, StoreStatus, Value};
use longshore_admin::{ControlError, Kind as No};
use longshore_core::{Bucket, KeyPattern, Left, StoreError};
use tokio::time::Instant;

use super::HostControl;
use crate::config::refused_bucket;
use crate::guarded::BucketKind;
use crate::stores::OpenedStore;

impl HostControl {
    /// The open store of that name, `default` without, and its name.
    pub(super) fn store<'a>(&'a self, name: Option<&'a str>) -> Result<(&'a str, &'a OpenedStore), ControlError> {
        let name = name.unwrap_or("default");
        let found = self.stores.get(name).ok_or_else(|| {
            if self.stores.is_empty() && self.running.is_some() {
                let why = "as no handler or job of its configuration uses one";
                return ControlError::not_found(format!("there is no store {name:?}: the host that runs has opened none, {why}"));
            }
            let names: Vec<&str> = self.stores.keys().map(String::as_str).collect();
            let there = if names.is_empty() { "none is open".to_owned() } else { format!("there is {}", names.join(", ")) };
            ControlError::not_found(format!("there is no store {name:?}; {there}"))
        })?;
        Ok((name, found))
    }

    /// How the open stores fare.
    pub(super) async fn stores(&self) -> Vec<StoreStatus> {
        join_all(self.stores.values().map(look_at)).await
    }

    fn bucket(&self, which: &InBucket) -> Result<Arc<dyn Bucket>, ControlError> {
        let (name, store) = self.store(which.store.as_deref())?;
        if let Some(why) = refused_bucket(&which.bucket) {
            return Err(ControlError::invalid(why));
        }
        let kind = match which.kind {
            Kind::Cache => BucketKind::Cache,
            Kind::KeyValue => BucketKind::KeyValue,
        };
        let none = || ControlError::unsupported(format!("store {name:?} has no {} buckets", which.kind.name()));
        store.bucket(kind, &which.bucket).ok_or_else(none)
    }
}

async fn look_at(store: &OpenedStore) -> StoreStatus {
    let start = Instant::now();
    let error = store.trouble().await;
    StoreStatus {
        name: store.config.name.clone(),
        kind: store.config.registration.name.into(),
        status: if error.is_none() { Health::Healthy } else { Health::Unhealthy },
        ping_ms: error.is_none().then(|| start.elapsed().as_secs_f64() * 1000.0),
        dropped: store.roles.cache.as_ref().map(|caches| caches.dropped()),
        error,
    }
}

impl StoreControl for HostControl {
    fn value<'a>(&'a self, bucket: &'a InBucket, key: &'a str) -> Answer<'a, Value> {
        Box::pin(async move {
            let found = self.bucket(bucket)?;
            let value = found.get(&[key.to_owned()]).await.map_err(told)?.pop().flatten();
            let value = value.ok_or_else(|| missing(bucket, key))?;
            let ttl_ms = match found.left(key).await.map_err(told)? {
                Left::Span(left) => Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
                Left::Forever => None,
                // Its time is over since.
                Left::Missing => return Err(missing(bucket, key)),
            };
            Ok(Value { key: key.into(), value: longshore_admin::model::Data(value), ttl_ms })
        })
    }

    fn set_value<'a>(&'a self, bucket: &'a InBucket, key: &'a str, value: SetValue) -> Answer<'a, ()> {
        Box::pin(async move {
            if bucket.kind == Kind::KeyValue && value.ttl_ms.is_some() {
                return Err(ControlError::invalid("values of a key-value bucket stay: a time to live is for caches"));
            }
            if value.ttl_ms == Some(0) {
                return Err(ControlError::invalid("a time to live of 0 would keep nothing"));
            }
            let entry = [(key.to_owned(), value.value.0)];
            self.bucket(bucket)?.set(&entry, value.ttl_ms.map(Duration::from_millis)).await.map_err(told)
        })
    }

    fn delete_value<'a>(&'a self, bucket: &'a InBucket, key: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            match self.bucket(bucket)?.delete(&[key.to_owned()]).await.map_err(told)? {
                0 => Err(missing(bucket, key)),
                _ => Ok(()),
            }
        })
    }

    fn delete_matching<'a>(&'a self, bucket: &'a InBucket, pattern: &'a str) -> Answer<'a, Count> {
        Box::pin(async move {
            let count = self.bucket(bucket)?.delete_matching(&KeyPattern::new(pattern)).await.map_err(told)?;
            Ok(Count { count })
        })
    }

    fn keys<'a>(&'a self, bucket: &'a InBucket, pattern: &'a str, cursor: Option<&'a str>) -> Answer<'a, KeyList> {
        Box::pin(async move {
            let page = self.bucket(bucket)?.keys(&KeyPattern::new(pattern), cursor).await.map_err(told)?;
            Ok(KeyList { keys: page.keys, next: page.next })
        })
    }
}

fn missing(bucket: &InBucket, key: &str) -> ControlError {
    ControlError::not_found(format!("there is no {key:?} in the {} bucket {:?}", bucket.kind.name(), bucket.bucket))
}

/// What a store says, as whoever asks is told.
pub(super) fn told(error: StoreError) -> ControlError {
    let (kind, message) = match error {
        StoreError::Unsupported(what) => (No::Unsupported, what),
        StoreError::TooLarge(what) => (No::TooLarge, what),
        StoreError::Invalid(what) => (No::Invalid, what),
        StoreError::Timeout => (No::Timeout, "the store did not answer in time; it may have done it all the same".into()),
        StoreError::Unavailable(what) => (No::Unreachable, what),
        StoreError::Other(what) => (No::Failed, what),
    };
    ControlError::new(kind, message)
}
