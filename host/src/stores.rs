//! Stores of a configuration, opened: what guests' buckets lead to, and what a command looks into when no host runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{
    BrokerError, Bucket, Clock, Connect, DedupTimes, GrantedBucket, GrantedBuckets, GrantedLocks, GrantedStores, Inbox, Locks,
    StoreRegistration, StoreRoles,
};
use longshore_engine::Reconnect;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::config::{BucketConfig, Config, LockConfig, Mistake, StoreConfig, StoresConfig};
use crate::guarded::{BucketKind, Guarded};
use crate::guarded_locks::{GuardedLocks, host_name};
use crate::inbox::InStore;
use crate::opened::refusal;

/// Waits before a store that could not be opened is tried again.
const WAITS: Reconnect = Reconnect::without_end(Duration::from_secs(1), Duration::from_secs(30));

/// One open store.
#[derive(Clone)]
pub struct OpenedStore {
    /// What is configured.
    pub config: StoreConfig,
    /// What it can be used for.
    pub roles: StoreRoles,
}

/// All open stores by name.
pub type Stores = BTreeMap<String, OpenedStore>;

/// A store could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("store {name:?} ({kind}): {error}")]
pub struct StoreOpenError {
    /// Its name in the configuration.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// Why.
    pub error: BrokerError,
}

impl StoreOpenError {
    /// As [`OpenError::as_mistake`](crate::opened::OpenError::as_mistake).
    pub fn as_mistake(&self, config: &Config) -> Option<Mistake> {
        let store = config.store(&self.name)?;
        refusal(config, &self.error, ["stores", &self.name], || (store.registration.holder)(store.settings.clone(), &config.folder))
    }
}

impl OpenedStore {
    /// A bucket within the store's bounds; none where the store has no buckets of that kind.
    pub(crate) fn bucket(&self, kind: BucketKind, name: &str) -> Option<Arc<dyn Bucket>> {
        let buckets = match kind {
            BucketKind::Cache => self.roles.cache.as_ref(),
            BucketKind::KeyValue => self.roles.key_value.as_ref(),
            BucketKind::Inbox => Some(&self.roles.inbox),
        };
        Some(Arc::new(Guarded::new(buckets?.bucket(name), kind, &self.config)))
    }

    /// Why it does not answer now, if it does not within its `timeout`.
    pub(crate) async fn trouble(&self) -> Option<String> {
        let timeout = self.config.timeout;
        match tokio::time::timeout(timeout, self.roles.connection.ping()).await {
            Ok(answer) => answer.err().map(|error| error.to_string()),
            Err(_) => Some(format!("no answer within {timeout:?}")),
        }
    }

    /// Its locks within its bounds; none where the store has none.
    pub(crate) fn locks(&self) -> Option<Arc<dyn Locks>> {
        Some(Arc::new(GuardedLocks::new(self.roles.locks.clone()?, &self.config, host_name())))
    }
}

/// The dedup inbox of a group on a broker, in a bucket of its own.
pub(crate) fn inbox(store: &OpenedStore, broker: &str, group: &str, times: DedupTimes) -> Arc<dyn Inbox> {
    let bucket = store.roles.inbox.bucket(&inbox_name(broker, group));
    Arc::new(InStore::new(Arc::new(Guarded::new(bucket, BucketKind::Inbox, &store.config)), times))
}

/// A name that every store can have and a person can read: that of the group, and what tells it from others that look the same.
fn inbox_name(broker: &str, group: &str) -> String {
    let readable: String = group.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).take(40).collect();
    let digest = Sha256::digest(format!("{broker}\0{group}"));
    let mark: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{readable}-{mark}")
}

/// Opens one store, once. `admin` is where this process can be asked, for a store that only one process can hold.
pub async fn open(config: &Config, store: &StoreConfig, admin: Option<String>) -> Result<OpenedStore, StoreOpenError> {
    let fail = |error| StoreOpenError { name: store.name.clone(), kind: store.registration.name, error };
    let connect = Connect { name: store.name.clone(), folder: config.folder.clone(), clock: Clock::system(), admin, topics: Vec::new() };
    let connecting = (store.registration.connect)(store.settings.clone(), connect)
        .map_err(|error| fail(BrokerError::give_up(format!("its configuration does not fit: {error}"))))?;
    Ok(OpenedStore { config: store.clone(), roles: connecting.await.map_err(fail)? })
}

/// Opens all at once, however long that takes, as long as trying again can help.
pub async fn open_all(config: &Config, admin: &str) -> Result<Stores, StoreOpenError> {
    let opening = config.stores.values().map(|store| async {
        let mut failures = 0;
        loop {
            match open(config, store, Some(admin.to_owned())).await {
                Err(error) if !error.error.fix.is_human() => {
                    failures += 1;
                    let wait = WAITS.delay(failures);
                    tracing::warn!(?wait, "{error}; trying again");
                    tokio::time::sleep(wait).await;
                }
                outcome => return outcome,
            }
        }
    });
    let opened = futures::future::try_join_all(opening).await?;
    Ok(opened.into_iter().map(|store| (store.config.name.clone(), store)).collect())
}

/// For a test of a handler: every store of the configuration in memory, with its bounds.
pub(crate) async fn in_memory(config: &Config) -> Stores {
    let Some(memory) = crate::STORES.iter().find(|adapter| adapter.name == "memory") else { return Stores::new() };
    let mut stores = Stores::new();
    for store in config.stores.values() {
        let store = StoreConfig { registration: StoreRegistration { ..*memory }, settings: json!({}), ..store.clone() };
        if let Ok(opened) = open(config, &store, None).await {
            stores.insert(store.name, opened);
        }
    }
    stores
}

/// The buckets and locks that a handler or job may use, in open stores.
pub(crate) fn granted(stores: &Stores, config: &StoresConfig) -> GrantedStores {
    let granted = |kind, list: &[BucketConfig]| {
        let open = |grant: &BucketConfig| {
            let bucket = stores.get(&grant.store)?.bucket(kind, &grant.bucket)?;
            Some(GrantedBucket { name: grant.alias.clone(), bucket })
        };
        GrantedBuckets::new(list.iter().filter_map(open).collect())
    };
    let locks = |grant: &LockConfig| Some((grant.names.clone(), stores.get(&grant.store)?.locks()?));
    GrantedStores {
        cache: granted(BucketKind::Cache, &config.cache),
        key_value: granted(BucketKind::KeyValue, &config.key_value),
        locks: GrantedLocks::new(config.locks.iter().filter_map(locks).collect()),
    }
}

/// Closes all, each within `bound`.
pub async fn close(stores: &Stores, bound: Duration) {
    let closing = stores.values().map(|store| async move {
        match tokio::time::timeout(bound, store.roles.connection.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(store = store.config.name, "while closing: {error}"),
            Err(_) => tracing::warn!(store = store.config.name, "it did not close within {bound:?}"),
        }
    });
    futures::future::join_all(closing).await;
}
