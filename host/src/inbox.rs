//! The dedup inbox of a subscription whose broker keeps none, in a store: a value for each message, which says who handles it, or that it is
//! done. Any store with buckets whose values have times will do.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use longshore_core::{BoxFuture, BrokerError, Bucket, Claimant, Claimed, DedupTimes, Inbox, InboxClaim, InboxKey, StoreError};

/// What stands at the key of a message that is done. A claimant's has hexadecimal digits alone.
const DONE: &[u8] = b"done";
/// A claim that is given back ends with the next millisecond.
const AT_ONCE: Duration = Duration::from_millis(1);

/// An inbox in a bucket.
pub(crate) struct InStore {
    bucket: Arc<dyn Bucket>,
    times: DedupTimes,
}

impl InStore {
    /// Bytes of its keys, in hexadecimal digits.
    pub(crate) const KEY: usize = 2 * size_of::<InboxKey>();
    /// The most bytes of its values.
    pub(crate) const VALUE: usize = 2 * size_of::<Claimant>();

    pub(crate) fn new(bucket: Arc<dyn Bucket>, times: DedupTimes) -> Self {
        InStore { bucket, times }
    }

    async fn claim_one(&self, claim: &InboxClaim, is_first: bool) -> Result<Claimed, StoreError> {
        if !is_first {
            return Ok(Claimed::Taken);
        }
        let (key, claimant, lease) = (claim.key.hex(), claim.claimant.hex(), Some(self.times.lease));
        if self.bucket.swap(&key, None, claimant.as_bytes(), lease).await? {
            return Ok(Claimed::Ours);
        }
        let there = self.bucket.get(std::slice::from_ref(&key)).await?.pop().flatten();
        Ok(match there {
            Some(value) if value == DONE => Claimed::Done,
            // Whoever had it may have given it back by now: it is asked for again soon enough.
            _ => Claimed::Taken,
        })
    }

    /// Gives a claim so much more time. Says whether it is the claimant's still.
    async fn give_time(&self, claim: &InboxClaim, time: Duration) -> Result<bool, StoreError> {
        let claimant = claim.claimant.hex();
        self.bucket.swap(&claim.key.hex(), Some(claimant.as_bytes()), claimant.as_bytes(), Some(time)).await
    }

    async fn give_all(&self, claims: &[InboxClaim], time: Duration) -> Result<Vec<bool>, BrokerError> {
        let mut asked = Vec::with_capacity(claims.len());
        for claim in claims {
            asked.push(self.give_time(claim, time));
        }
        try_join_all(asked).await.map_err(trouble)
    }
}

impl Inbox for InStore {
    fn claim<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<Vec<Claimed>, BrokerError>> {
        Box::pin(async move {
            // Of those that are asked for together the first has the key: the store may answer them in any order.
            let mut seen = HashSet::new();
            let mut asked = Vec::with_capacity(claims.len());
            for claim in claims {
                asked.push(self.claim_one(claim, seen.insert(claim.key)));
            }
            try_join_all(asked).await.map_err(trouble)
        })
    }

    fn extend<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<Vec<bool>, BrokerError>> {
        Box::pin(self.give_all(claims, self.times.lease))
    }

    fn remember<'a>(&'a self, keys: &'a [InboxKey]) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            let done: Vec<_> = keys.iter().map(|key| (key.hex(), DONE.to_vec())).collect();
            self.bucket.set(&done, Some(self.times.window)).await.map_err(trouble)
        })
    }

    fn release<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move { self.give_all(claims, AT_ONCE).await.map(drop) })
    }
}

/// A store that cannot be asked, for whatever reason, is asked again: a message must neither be lost nor handled unasked.
fn trouble(error: StoreError) -> BrokerError {
    BrokerError::retry(format!("the dedup inbox: {error}"))
}
