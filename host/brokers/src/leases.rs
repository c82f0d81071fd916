//! What locks do on every store: waiting in turn, renewing, releasing what was let go. A store adds a [`Register`], each of whose
//! operations is one step there.
//!
//! Each acquire runs in a task of its own, so that whoever asks may go away at any time: what was granted then finds nobody and is released
//! at once, and no request to the store is left in the air. Not here: bounds of names and times, which the host checks.

mod grant;
mod line;
mod pace;
mod register;
#[cfg(any(feature = "embedded", feature = "memory"))]
pub(crate) mod rows;
mod streaks;
#[cfg(all(test, any(feature = "embedded", feature = "memory")))]
mod tests;
mod turn;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::{
    BoxFuture, BrokerError, Connection, Finding, Held, HeldPage, KeyPattern, Lease, Locks, StoreAnswer, StoreError, StoreRoles, Wish,
};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use line::{Lines, Place};
pub(crate) use register::{Claim, Register, Taken, Which};
use streaks::Streaks;
#[cfg(any(test, feature = "nats-jetstream", feature = "redis-list", feature = "redis-pubsub", feature = "redis-streams"))]
pub(crate) use turn::WAITS;

type Result<T> = std::result::Result<T, StoreError>;
/// Where the answer to an acquire goes.
type Answer = oneshot::Sender<Result<Option<Arc<dyn Lease>>>>;

/// How long the release of what was let go may take; the lease is over by itself in the end.
const RELEASE: Duration = Duration::from_secs(10);

/// The locks of a store.
struct Leases<R>(Arc<Shared<R>>);

/// What all who use a store here share.
struct Shared<R> {
    register: R,
    /// Begins every token of this process, and no other's.
    seat: String,
    tokens: AtomicU64,
    lines: Lines,
    streaks: Streaks,
    runtime: Handle,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    /// Who waits, and who renews.
    working: JoinSet<()>,
    /// Who releases what was let go.
    releasing: JoinSet<()>,
}

/// `roles` with locks whose leases stand in `register`. Closing waits for what is being released.
pub(crate) fn with_locks<R: Register>(roles: StoreRoles, register: R) -> StoreRoles {
    let shared = Arc::new(Shared {
        register,
        // Every such state has keys of its own, from the system's randomness.
        seat: format!("{:016x}", RandomState::new().hash_one(std::process::id())),
        tokens: AtomicU64::new(0),
        lines: Lines::default(),
        streaks: Streaks::default(),
        runtime: Handle::current(),
        tasks: Mutex::default(),
    });
    let connection = Arc::new(Releasing { connection: roles.connection, shared: shared.clone() });
    StoreRoles { connection, locks: Some(Arc::new(Leases(shared))), ..roles }
}

impl<R: Register> Locks for Leases<R> {
    fn acquire<'a>(&'a self, wish: Wish) -> StoreAnswer<'a, Option<Arc<dyn Lease>>> {
        let (answer, granted) = oneshot::channel();
        // Here and not in the task: the order of asking counts.
        let (shared, place) = (self.0.clone(), self.0.lines.enter(&wish.name));
        self.0.work(async move { shared.acquire(wish, place, answer).await });
        Box::pin(async { granted.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the store was closed".into()))) })
    }

    fn held<'a>(&'a self, name: &'a str) -> StoreAnswer<'a, Option<Held>> {
        Box::pin(self.0.register.held(name))
    }

    fn list<'a>(&'a self, pattern: &'a KeyPattern, cursor: Option<&'a str>) -> StoreAnswer<'a, HeldPage> {
        Box::pin(self.0.register.list(pattern, cursor))
    }

    fn evict<'a>(&'a self, name: &'a str, fence: u64) -> StoreAnswer<'a, bool> {
        Box::pin(async move {
            let was_there = self.0.register.end(name, Which::Fence(fence)).await?;
            self.0.lines.wake(name);
            Ok(was_there)
        })
    }
}

impl<R: Register> Shared<R> {
    async fn acquire(self: Arc<Self>, wish: Wish, place: Place, mut answer: Answer) {
        let number = self.tokens.fetch_add(1, Ordering::Relaxed);
        let claim = Claim { token: format!("{}-{number}", self.seat), name: wish.name, ttl: wish.ttl, holder: wish.holder };
        let went = self.in_turn(&claim, place, wish.wait, &mut answer).await;
        if went.is_err() {
            // It may have been granted all the same.
            self.release(claim.name, claim.token, 0);
        }
        // Where nobody waits for it any more, the lease is dropped here, and so released.
        drop(answer.send(went.map(|lease| lease.map(|lease| Arc::new(lease) as Arc<dyn Lease>))));
    }

    /// Releases in the background.
    fn release(self: &Arc<Self>, name: String, token: String, mark: u64) {
        let shared = self.clone();
        let releasing = async move {
            let ending = shared.register.end(&name, Which::Token(&token, mark));
            match timeout(RELEASE, ending).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::debug!(lock = name, "it is held until its lease is over: {error}"),
                Err(_) => tracing::debug!(lock = name, "it is held until its lease is over: no answer within {RELEASE:?}"),
            }
            shared.lines.wake(&name);
        };
        let mut tasks = self.tasks();
        while tasks.releasing.try_join_next().is_some() {}
        tasks.releasing.spawn_on(releasing, &self.runtime);
    }

    /// Does something in a task of its own.
    fn work(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut tasks = self.tasks();
        while tasks.working.try_join_next().is_some() {}
        tasks.working.spawn_on(work, &self.runtime)
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store's connection, which ends after what is being released.
struct Releasing<R> {
    connection: Arc<dyn Connection>,
    shared: Arc<Shared<R>>,
}

impl<R: Register> Connection for Releasing<R> {
    fn ping(&self) -> BoxFuture<'_, std::result::Result<(), BrokerError>> {
        self.connection.ping()
    }

    fn close(&self) -> BoxFuture<'_, std::result::Result<(), BrokerError>> {
        Box::pin(async {
            let releasing = std::mem::take(&mut self.shared.tasks().releasing);
            releasing.join_all().await;
            self.connection.close().await
        })
    }

    fn connections(&self) -> Option<u64> {
        self.connection.connections()
    }

    fn check_server(&self) -> BoxFuture<'_, std::result::Result<Vec<Finding>, BrokerError>> {
        self.connection.check_server()
    }
}
