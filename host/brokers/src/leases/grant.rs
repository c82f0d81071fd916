//! A lease that was granted, on the side of its holder.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::{Lease, StoreAnswer};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::register::{Claim, Register, Which};
use super::{Result, Shared};

/// A kept lease is renewed after such a part of its time, and after a smaller one again where the store could not.
const PART: u32 = 3;
const SMALLER: u32 = 9;

/// The holder's.
pub(super) struct Grant<R: Register> {
    inner: Arc<Inner<R>>,
    /// The task that keeps it.
    keeper: Mutex<Option<AbortHandle>>,
}

/// What the holder and the task that keeps it share.
struct Inner<R> {
    shared: Arc<Shared<R>>,
    claim: Claim,
    fence: u64,
    now: Mutex<Now>,
    /// Whose it is to ask the store: an answer that overtook another one would count for more than it is.
    turn: tokio::sync::Mutex<()>,
    /// The holder renewed it: who keeps it has other times to go by.
    renewed: Notify,
}

/// What is known of a lease.
struct Now {
    /// Finds it at the store.
    mark: u64,
    /// What it was last given.
    ttl: Duration,
    /// When it is over, by the clock of this process: no later than at the store.
    until: Instant,
    /// The latest time at which it may be over at the store, by all that was asked for.
    latest: Instant,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Held,
    /// It passed to somebody else, or ran out.
    Lost,
    Released,
}

impl<R: Register> Grant<R> {
    pub(super) fn new(shared: Arc<Shared<R>>, claim: Claim, fence: u64, mark: u64, until: Instant) -> Self {
        let now = Mutex::new(Now { mark, ttl: claim.ttl, until, latest: until, state: State::Held });
        let (turn, renewed) = (tokio::sync::Mutex::default(), Notify::new());
        Grant { inner: Arc::new(Inner { shared, claim, fence, now, turn, renewed }), keeper: Mutex::default() }
    }

    fn keeper(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop_keeping(&self) {
        if let Some(keeper) = self.keeper().take() {
            keeper.abort();
        }
    }
}

impl<R: Register> Lease for Grant<R> {
    fn fence(&self) -> u64 {
        self.inner.fence
    }

    fn is_ours(&self) -> bool {
        self.inner.now().is_ours()
    }

    fn renew<'a>(&'a self, ttl: Duration) -> StoreAnswer<'a, bool> {
        Box::pin(async move {
            let renewed = self.inner.renew(Some(ttl)).await;
            self.inner.renewed.notify_one();
            renewed
        })
    }

    fn keep(&self) -> bool {
        let mut keeper = self.keeper();
        let is_kept = keeper.as_ref().is_some_and(|keeper| !keeper.is_finished());
        let is_ours = self.is_ours();
        if is_ours && !is_kept {
            let inner = self.inner.clone();
            *keeper = self.inner.shared.work(async move { inner.keep().await });
        }
        is_ours
    }

    fn release<'a>(&'a self) -> StoreAnswer<'a, bool> {
        Box::pin(async {
            self.stop_keeping();
            let _turn = self.inner.turn.lock().await;
            let (mark, state, was_ours) = {
                let now = self.inner.now();
                (now.mark, now.state, now.is_ours())
            };
            if state != State::Held {
                return Ok(false);
            }
            let Inner { shared, claim, .. } = &*self.inner;
            // Also what is over: it may still stand there.
            let was_there = shared.register.end(&claim.name, Which::Token(&claim.token, mark)).await?;
            self.inner.now().state = State::Released;
            shared.lines.wake(&claim.name);
            Ok(was_ours && was_there)
        })
    }
}

impl<R: Register> Drop for Grant<R> {
    fn drop(&mut self) {
        self.stop_keeping();
        let (mark, state, latest) = {
            let now = self.inner.now();
            (now.mark, now.state, now.latest)
        };
        // What is lost may be so because the store did not answer.
        if state != State::Released {
            let Inner { shared, claim, .. } = &*self.inner;
            shared.release(claim.name.clone(), claim.token.clone(), mark, latest);
        }
    }
}

impl<R: Register> Inner<R> {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For what it was last given, where nothing else is asked for.
    async fn renew(&self, ttl: Option<Duration>) -> Result<bool> {
        let _turn = self.turn.lock().await;
        let asked = Instant::now();
        let (ttl, mark) = {
            let mut now = self.now();
            if !now.is_ours() {
                return Ok(false);
            }
            let ttl = ttl.unwrap_or(now.ttl);
            // Should no answer come, it may be over then, or when it was to be before.
            now.until = now.until.min(asked + ttl);
            now.latest = now.latest.max(asked + ttl);
            (ttl, now.mark)
        };
        let renewed = self.shared.register.renew(&self.claim, self.fence, mark, ttl).await?;
        let mut now = self.now();
        match renewed {
            Some(mark) => (now.mark, now.ttl, now.until) = (mark, ttl, asked + ttl),
            None if now.state == State::Held => now.state = State::Lost,
            None => {}
        }
        Ok(renewed.is_some())
    }

    /// Renews, until it is lost. What the store cannot do now is tried again as long as there is time.
    async fn keep(&self) {
        let mut part = PART;
        loop {
            let (ttl, until) = {
                let now = self.now();
                (now.ttl, now.until)
            };
            let left = until.saturating_duration_since(Instant::now());
            tokio::select! {
                () = sleep((ttl / part).min(left / 2)) => {}
                () = self.renewed.notified() => {
                    part = PART;
                    continue;
                }
            }
            let until = self.now().until;
            part = match timeout_at(until, self.renew(None)).await {
                Ok(Ok(true)) => PART,
                // The holder may have renewed it meanwhile.
                went if self.now().is_ours() => {
                    tracing::debug!(lock = self.claim.name, "its lease could not be renewed yet: {went:?}");
                    SMALLER
                }
                _ => break,
            };
        }
        let mut now = self.now();
        if now.state == State::Held {
            now.state = State::Lost;
        }
        tracing::warn!(lock = self.claim.name, fence = self.fence, "its lease was lost while it was kept");
    }
}

impl Now {
    fn is_ours(&self) -> bool {
        self.state == State::Held && Instant::now() < self.until
    }
}
