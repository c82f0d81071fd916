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
use tokio::time::{Instant, sleep, timeout};

use line::{Lines, Place};
pub(crate) use register::{Claim, Register, Taken, Which};
use streaks::Streaks;
#[cfg(any(test, feature = "nats-jetstream", feature = "redis-list", feature = "redis-pubsub", feature = "redis-streams"))]
pub(crate) use turn::WAITS;

type Result<T> = std::result::Result<T, StoreError>;
/// Where the answer to an acquire goes.
type Answer = oneshot::Sender<Result<Option<Arc<dyn Lease>>>>;

/// How long a release of what was let go may take, and, when the store is closed, all of them.
const RELEASE: Duration = Duration::from_secs(10);
/// The pause before what the store could not release is tried again, and the longest one: each is twice the one before.
const AGAIN: Duration = Duration::from_millis(50);
const SELDOM: Duration = Duration::from_secs(5);

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
    /// Nothing new is begun any more.
    closed: bool,
}

/// `roles` with locks whose leases stand in `register`. Closing ends who waits, and what they are granted at that moment;
/// it waits for what is being released.
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
        // Where nobody waits for it any more, the lease is dropped here, and so released.
        drop(answer.send(went.map(|lease| lease.map(|lease| Arc::new(lease) as Arc<dyn Lease>))));
    }

    /// Releases in the background: until the store answers, or the lease is over at the `latest`.
    fn release(self: &Arc<Self>, name: String, token: String, mark: u64, latest: Instant) {
        let shared = self.clone();
        let releasing = async move {
            let mut pause = AGAIN;
            while let Err(why) = shared.try_release(&name, &token, mark).await {
                tracing::debug!(lock = name, "it is still held: {why}");
                if shared.tasks().closed || Instant::now() + pause >= latest {
                    break;
                }
                sleep(pause).await;
                pause = (pause * 2).min(SELDOM);
            }
            shared.lines.wake(&name);
        };
        let mut tasks = self.tasks();
        while tasks.releasing.try_join_next().is_some() {}
        tasks.releasing.spawn_on(releasing, &self.runtime);
    }

    async fn try_release(&self, name: &str, token: &str, mark: u64) -> Result<()> {
        let ended = timeout(RELEASE, self.register.end(name, Which::Token(token, mark))).await;
        ended.unwrap_or(Err(StoreError::Timeout)).map(drop)
    }

    /// Does something in a task of its own, until the store is closed.
    fn work(&self, work: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
        let mut tasks = self.tasks();
        while tasks.working.try_join_next().is_some() {}
        (!tasks.closed).then(|| tasks.working.spawn_on(work, &self.runtime))
    }

    async fn close(&self) {
        let mut working = {
            let mut tasks = self.tasks();
            tasks.closed = true;
            std::mem::take(&mut tasks.working)
        };
        // What they had asked for they let go.
        working.shutdown().await;
        let mut releasing = std::mem::take(&mut self.tasks().releasing);
        if timeout(RELEASE, async { while releasing.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!("{} locks are held until their leases are over: the store does not answer", releasing.len());
        }
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
            self.shared.close().await;
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
