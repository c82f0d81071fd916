//! Locks on the server: a bucket of their own, `longshore_locks`, with a key for each that is held. The fence is the key's revision at the grant,
//! a sequence of the stream, which grows with all that is written there and never goes back.
//!
//! Taking is one message that expects no other of its key; releasing removes the message of that sequence, which can only be ours. So
//! both are one round trip. Times are the server's, as [`expiry`](super::expiry) keeps them.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use longshore_core::{Held, HeldPage, KeyPattern, Owner, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Server;
use super::ask::{Wrote, told};
use super::bucket::{Change, OnServer};
use super::entry::Value;
use super::expiry::Expiry;
use super::stream::Purpose;
use crate::leases::{Claim, Register, Taken, WAITS, Which};
use crate::nats::jetstream::api::{self, Said};

type Result<T> = std::result::Result<T, StoreError>;

/// Locks of a page that are asked about at once.
const WINDOW: usize = 64;
/// What is added to each lease at the server: our idea of its clock is up to 30 s old, and in that time a clock that is being set right, by 500
/// millionths at most, gains 15 ms.
const MARGIN: Duration = Duration::from_millis(20);
/// What keys of locks begin with, and those that say who waits.
const HELD: &str = "held.";
const WAITING: &str = "waiting.";

/// The locks of a store.
pub(super) struct Locks {
    bucket: OnServer,
}

/// A lease, as it stands in its message.
#[derive(Clone, Serialize, Deserialize)]
struct Lease {
    token: String,
    host: String,
    handler: String,
    message: String,
    /// The grant's, in a message that renewed it; else it is the message's own sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    fence: Option<u64>,
    /// When it was granted, nanoseconds since the Unix epoch, in a message that renewed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
}

/// A lease that is held.
struct Found {
    lease: Lease,
    revision: u64,
    value: Value,
    now: u64,
}

impl Locks {
    pub(super) fn new(server: Arc<Server>, bucket: &str) -> Self {
        Locks { bucket: OnServer::new(server, bucket, Purpose::Locks) }
    }

    fn subject(&self, name: &str) -> Result<String> {
        self.bucket.subject(&format!("{HELD}{name}"))
    }

    /// The revision of the key, and who holds the lock.
    async fn look(&self, subject: &str) -> Result<(u64, Option<Found>)> {
        let entry = self.bucket.read(subject).await?;
        let Some(value) = entry.value else { return Ok((entry.revision, None)) };
        let lease = serde_json::from_slice(&value.bytes).map_err(|_| foreign(subject))?;
        let now = self.bucket.now().await?;
        Ok((entry.revision, Some(Found { lease, revision: entry.revision, value, now })))
    }

    async fn put(&self, subject: &str, lease: &Lease, ttl: Duration, expected: u64) -> Result<Wrote> {
        let bytes = serde_json::to_vec(lease).map_err(|error| StoreError::Other(error.to_string()))?;
        self.bucket.write(subject, &Change::Put(bytes, Expiry::After(ttl + MARGIN)), Some(expected)).await
    }

    /// Removes the message of that sequence; says whether it was there.
    async fn remove(&self, sequence: u64) -> Result<bool> {
        let Server { js, .. } = &*self.bucket.server;
        let subject = format!("STREAM.MSG.DELETE.{}", self.bucket.stream);
        let whole = format!("{}.{subject}", js.prefix);
        let body = json!({ "seq": sequence, "no_erase": true });
        match self.bucket.server.answered(&whole, api::ask::<serde_json::Value>(js, subject, &body)).await? {
            Ok(_) => Ok(true),
            Err(Said::Missing(_)) => Ok(false),
            Err(said) => Err(told(said)),
        }
    }

    fn held(name: &str, found: Found) -> Held {
        let Found { lease, revision, value, now } = found;
        let Lease { host, handler, message, fence, since, .. } = lease;
        let age = Duration::from_nanos(now.saturating_sub(since.unwrap_or(value.kept())));
        let left = value.left(now).unwrap_or(Duration::MAX).saturating_sub(MARGIN);
        Held { name: name.into(), holder: Owner { host, handler, message }, fence: fence.unwrap_or(revision), age, left }
    }
}

impl Register for Locks {
    async fn take(&self, claim: &Claim, again: bool) -> Result<Taken> {
        let subject = self.subject(&claim.name)?;
        let Owner { host, handler, message } = claim.holder.clone();
        let lease = Lease { token: claim.token.clone(), host, handler, message, fence: None, since: None };
        // Most locks are free, and nothing is left of them. Who was refused looks first: a look costs the stream's leader less.
        let mut expected = if again { None } else { Some(0) };
        loop {
            if let Some(revision) = expected
                && let Wrote::Done(sequence) = self.put(&subject, &lease, claim.ttl, revision).await?
            {
                return Ok(Taken::Yes { fence: sequence, mark: sequence });
            }
            match self.look(&subject).await? {
                (_, Some(found)) if found.lease.token != claim.token => {
                    let left = found.value.left(found.now).unwrap_or(Duration::MAX);
                    return Ok(Taken::No { left, token: found.lease.token });
                }
                // What was written came through twice.
                (revision, Some(_)) => return Ok(Taken::Yes { fence: revision, mark: revision }),
                // What is left of it is over, or says that it was removed.
                (revision, None) => expected = Some(revision),
            }
        }
    }

    async fn renew(&self, claim: &Claim, fence: u64, mark: u64, ttl: Duration) -> Result<Option<u64>> {
        let subject = self.subject(&claim.name)?;
        // Only the owner writes after a mark of its own; one of its answers may be lost, or be still to come.
        loop {
            let (_, found) = self.look(&subject).await?;
            let Some(found) = found.filter(|found| found.lease.token == claim.token) else { return Ok(None) };
            let since = found.lease.since.unwrap_or(found.value.kept());
            let lease = Lease { fence: Some(fence), since: Some(since), ..found.lease };
            debug_assert!(found.revision >= mark, "revisions grow");
            if let Wrote::Done(sequence) = self.put(&subject, &lease, ttl, found.revision).await? {
                return Ok(Some(sequence));
            }
        }
    }

    async fn end(&self, name: &str, which: Which<'_>) -> Result<bool> {
        if let Which::Token(_, mark) = which
            && mark != 0
            && self.remove(mark).await?
        {
            return Ok(true);
        }
        let subject = self.subject(name)?;
        let is_meant = |found: &Found| match which {
            Which::Token(token, _) => found.lease.token == token,
            Which::Fence(fence) => found.lease.fence.unwrap_or(found.revision) == fence,
        };
        loop {
            let (_, found) = self.look(&subject).await?;
            let Some(found) = found.filter(is_meant) else { return Ok(false) };
            // Where it is gone meanwhile, it may have been renewed.
            if self.remove(found.revision).await? {
                return Ok(true);
            }
        }
    }

    async fn held(&self, name: &str) -> Result<Option<Held>> {
        Ok(self.look(&self.subject(name)?).await?.1.map(|found| Locks::held(name, found)))
    }

    async fn list(&self, pattern: &KeyPattern, cursor: Option<&str>) -> Result<HeldPage> {
        let page = self.bucket.page(&KeyPattern::new(format!("{HELD}{pattern}")), cursor).await?;
        let names: Vec<&str> = page.keys.iter().filter_map(|key| key.strip_prefix(HELD)).collect();
        let looking = (0..names.len()).map(|i| Register::held(self, names[i]));
        let held: Vec<Option<Held>> = stream::iter(looking).buffered(WINDOW).try_collect().await?;
        Ok(HeldPage { held: held.into_iter().flatten().collect(), next: page.next })
    }

    async fn say_waiting(&self, name: &str, seat: &str) -> Result<()> {
        let subject = self.bucket.subject(&format!("{WAITING}{name}"))?;
        self.bucket.write(&subject, &Change::Put(seat.into(), Expiry::After(WAITS)), None).await.map(drop)
    }

    async fn others_wait(&self, name: &str, seat: &str) -> Result<bool> {
        let waiting = self.bucket.read(&self.bucket.subject(&format!("{WAITING}{name}"))?).await?;
        Ok(waiting.value.is_some_and(|value| value.bytes != seat.as_bytes()))
    }
}

fn foreign(subject: &str) -> StoreError {
    StoreError::Other(format!("what stands at {subject:?} on NATS is no lock of ours: delete it there, or choose another prefix"))
}
