//! Puts a store's `timeout`, `max-key-size` and `max-lock-ttl` around its locks, the same for a guest, a command and HTTP; and says which
//! host holds what is taken here.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Held, HeldPage, KeyPattern, Lease, Locks, Owner, StoreAnswer, StoreError, Wish};

use crate::config::StoreConfig;
use crate::guarded::Bounds;

/// Bytes of a name that can be looked at and ended, and of a cursor: both may be from when `max-key-size` was more.
const ANY_NAME: usize = 64 << 10;
/// Bytes that are told of a message's id.
const MESSAGE: usize = 256;

/// Locks within bounds.
pub(crate) struct GuardedLocks {
    locks: Arc<dyn Locks>,
    bounds: Bounds,
    max_name: usize,
    max_ttl: Duration,
    /// What this host is called.
    host: String,
}

impl GuardedLocks {
    /// The locks of a store.
    pub(crate) fn new(locks: Arc<dyn Locks>, config: &StoreConfig, host: String) -> Self {
        let (bounds, max_name, max_ttl) = (Bounds::new(config), config.max_key_size, config.max_lock_ttl);
        GuardedLocks { locks, bounds, max_name, max_ttl, host }
    }

    fn name(&self, name: &str, most: usize) -> Result<(), StoreError> {
        if name.is_empty() {
            return Err(StoreError::Invalid("a lock without a name".into()));
        }
        self.bounds.within("name of a lock", name.len(), most, "max-key-size")
    }
}

impl Locks for GuardedLocks {
    fn acquire<'a>(&'a self, wish: Wish) -> StoreAnswer<'a, Option<Arc<dyn Lease>>> {
        if let Err(refused) = self.name(&wish.name, self.max_name).and_then(|()| lease_time(wish.ttl, self.max_ttl)) {
            return Box::pin(std::future::ready(Err(refused)));
        }
        let Owner { handler, mut message, .. } = wish.holder;
        message.truncate(message.floor_char_boundary(MESSAGE));
        let wait = wish.wait;
        // Here and not when it is waited for: the order of asking counts.
        let asked = self.locks.acquire(Wish { holder: Owner { host: self.host.clone(), handler, message }, ..wish });
        Box::pin(async move {
            let granted = self.bounds.bounded(wait, asked).await?;
            let guarded = |lease| Arc::new(GuardedLease { lease, bounds: self.bounds.clone(), max_ttl: self.max_ttl });
            Ok(granted.map(|lease| guarded(lease) as Arc<dyn Lease>))
        })
    }

    fn held<'a>(&'a self, name: &'a str) -> StoreAnswer<'a, Option<Held>> {
        Box::pin(async move {
            self.name(name, self.max_name.max(ANY_NAME))?;
            self.bounds.bounded(Duration::ZERO, self.locks.held(name)).await
        })
    }

    fn list<'a>(&'a self, pattern: &'a KeyPattern, cursor: Option<&'a str>) -> StoreAnswer<'a, HeldPage> {
        Box::pin(async move {
            self.bounds.within("pattern", pattern.as_str().len(), self.max_name, "max-key-size")?;
            let most = self.max_name.max(ANY_NAME).saturating_mul(2);
            self.bounds.within("cursor", cursor.map_or(0, str::len), most, "max-key-size")?;
            self.bounds.bounded(Duration::ZERO, self.locks.list(pattern, cursor)).await
        })
    }

    fn evict<'a>(&'a self, name: &'a str, fence: u64) -> StoreAnswer<'a, bool> {
        Box::pin(async move {
            self.name(name, self.max_name.max(ANY_NAME))?;
            self.bounds.bounded(Duration::ZERO, self.locks.evict(name, fence)).await
        })
    }
}

/// A lease within bounds.
struct GuardedLease {
    lease: Arc<dyn Lease>,
    bounds: Bounds,
    max_ttl: Duration,
}

impl Lease for GuardedLease {
    fn fence(&self) -> u64 {
        self.lease.fence()
    }

    fn is_ours(&self) -> bool {
        self.lease.is_ours()
    }

    fn renew<'a>(&'a self, ttl: Duration) -> StoreAnswer<'a, bool> {
        Box::pin(async move {
            lease_time(ttl, self.max_ttl)?;
            self.bounds.bounded(Duration::ZERO, self.lease.renew(ttl)).await
        })
    }

    fn keep(&self) -> bool {
        self.lease.keep()
    }

    fn release<'a>(&'a self) -> StoreAnswer<'a, bool> {
        Box::pin(async move { self.bounds.bounded(Duration::ZERO, self.lease.release()).await })
    }
}

/// What this host is called where others see it: the machine's name and the process.
pub(crate) fn host_name() -> String {
    let told = crate::config::environment("HOSTNAME").filter(|name| !name.is_empty());
    // Where Linux tells it; a shell need not have exported it.
    let name = told.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok());
    format!("{}/{}", name.as_deref().map_or("host", str::trim), std::process::id())
}

fn lease_time(ttl: Duration, most: Duration) -> Result<(), StoreError> {
    if ttl.is_zero() {
        return Err(StoreError::Invalid("a ttl of 0: a lease takes some time".into()));
    }
    if ttl > most {
        let (ttl, most) = (ttl.as_millis(), most.as_millis());
        return Err(StoreError::Invalid(format!("a ttl of {ttl} ms is more than the {most} ms that a lease may have (max-lock-ttl)")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use longshore_core::{Clock, Connect};
    use serde_json::json;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn in_memory() -> GuardedLocks {
        let config = StoreConfig {
            name: "shared".into(),
            registration: crate::STORES.iter().copied().find(|store| store.name == "memory").expect("tests have it"),
            settings: json!({}),
            shown: json!({}),
            timeout: 5 * SECOND,
            max_key_size: 10,
            max_value_size: 20,
            max_lock_ttl: 60 * SECOND,
            default_ttl: None,
        };
        let folder = std::path::PathBuf::new();
        let connect = Connect { name: "shared".into(), folder, clock: Clock::system(), admin: None, topics: Vec::new() };
        let connecting = (config.registration.connect)(json!({}), connect).expect("it has no keys that it needs");
        let roles = connecting.await.expect("memory is always there");
        GuardedLocks::new(roles.locks.expect("it has locks"), &config, "here/1".into())
    }

    fn wish(name: &str, ttl: Duration) -> Wish {
        let holder = Owner { host: "what others say".into(), handler: "h".into(), message: "ü".repeat(500) };
        Wish { name: name.into(), ttl, wait: Duration::ZERO, holder }
    }

    #[tokio::test]
    async fn names_and_times_beyond_their_bounds_are_refused_with_them() {
        let locks = in_memory().await;
        let refused = async |name: &str, ttl| locks.acquire(wish(name, ttl)).await.map(drop).map_err(|error| error.to_string());
        let expected = "too large: a name of a lock of 11 bytes is more than the 10 that store \"shared\" takes (max-key-size)";
        assert_eq!(refused("lllllllllll", SECOND).await, Err(expected.into()));
        assert_eq!(refused("", SECOND).await, Err("invalid: a lock without a name".into()));
        assert_eq!(refused("l", Duration::ZERO).await, Err("invalid: a ttl of 0: a lease takes some time".into()));
        let expected = "invalid: a ttl of 60001 ms is more than the 60000 ms that a lease may have (max-lock-ttl)";
        let beyond = 60 * SECOND + Duration::from_millis(1);
        assert_eq!(refused("l", beyond).await, Err(expected.into()));
        let lease = locks.acquire(wish("l", 60 * SECOND)).await.expect("it answers").expect("it is free");
        assert_eq!(lease.renew(beyond).await.map_err(|error| error.to_string()), Err(expected.into()));
        assert_eq!(
            lease.renew(Duration::ZERO).await.map_err(|error| error.to_string()).map(drop),
            Err("invalid: a ttl of 0: a lease takes some time".into())
        );
        let held = locks.held("l").await.expect("it answers").expect("it is held");
        assert_eq!((held.holder.host.as_str(), held.holder.handler.as_str()), ("here/1", "h"));
        assert_eq!(held.holder.message, "ü".repeat(128), "cut, and not within a character");
    }

    #[test]
    fn a_host_has_a_name_with_its_process() {
        let (name, pid) = (host_name(), std::process::id());
        assert!(name.ends_with(&format!("/{pid}")) && !name.contains(char::is_whitespace), "{name}");
    }
}
