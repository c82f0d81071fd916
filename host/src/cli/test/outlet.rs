//! A publishing side that keeps what it is given: what a handler sends at once in a test.

use std::sync::{Arc, Mutex, PoisonError};

use longshore_core::{BoxFuture, BrokerError, Outbox, PublishError, Publisher};

/// Remembers what was published.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Outbox>>);

impl Kept {
    /// What was published since the last time.
    pub(super) fn take(&self) -> Outbox {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Publisher for Kept {
    fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Result<Vec<Result<String, PublishError>>, BrokerError>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.len();
        kept.append(outbox);
        let ids = (before..kept.len()).map(|n| Ok(format!("test/{}", n + 1))).collect();
        Box::pin(std::future::ready(Ok(ids)))
    }
}
