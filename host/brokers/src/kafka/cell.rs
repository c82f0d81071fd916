//! A lane from outside: its book, word that it is taken away, and whether its task is done with it.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::BoxFuture;
use rdkafka::consumer::base_consumer::PartitionQueue;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::book::Book;
use super::names::Tier;
use super::watch::Quiet;

/// What the lane's task, the member's thread and the group's rebalances share of a lane.
pub(super) struct Cell {
    book: Mutex<Book>,
    /// Whether somebody has a half of the lane.
    used: Mutex<bool>,
    done: Condvar,
    revoke: watch::Sender<bool>,
    /// Tiers of which something has come.
    live: watch::Sender<BTreeSet<Tier>>,
    /// Something came for the source.
    pub(super) came: Arc<Notify>,
    waits: Mutex<Waits>,
    /// Retries that the source is to read from now on.
    arrivals: Mutex<Vec<(Tier, PartitionQueue<Quiet>)>>,
}

/// Whether the source waits for messages.
#[derive(Default)]
struct Waits {
    since: Option<Instant>,
    /// When it stopped waiting without having got any.
    left: Option<Instant>,
    /// Whether it was looked at what is behind the last message that it got.
    looked_behind: bool,
}

/// A lane that comes back to wait within that time has waited all along.
const A_MOMENT: Duration = Duration::from_secs(2);

/// The source of a lane, waiting.
pub(super) struct Waiting<'c>(&'c Cell);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waits().left = Some(Instant::now());
    }
}

/// A lane in somebody's hands.
pub(super) struct InUse(Arc<Cell>);

impl Drop for InUse {
    fn drop(&mut self) {
        *self.0.used() = false;
        self.0.done.notify_all();
    }
}

impl Cell {
    pub(super) fn new(book: Book) -> (Arc<Self>, Arc<InUse>) {
        let cell = Arc::new(Cell {
            book: Mutex::new(book),
            used: Mutex::new(true),
            done: Condvar::new(),
            revoke: watch::Sender::new(false),
            live: watch::Sender::default(),
            came: Arc::default(),
            waits: Mutex::default(),
            arrivals: Mutex::default(),
        });
        (Arc::clone(&cell), Arc::new(InUse(cell)))
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn used(&self) -> MutexGuard<'_, bool> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The source waits from now on, until this is dropped.
    pub(super) fn wait(&self) -> Waiting<'_> {
        let (mut waits, now) = (self.waits(), Instant::now());
        if waits.left.is_some_and(|left| now.duration_since(left) > A_MOMENT) {
            waits.since = None;
        }
        waits.since.get_or_insert(now);
        waits.left = None;
        Waiting(self)
    }

    /// Something came: whoever waits next waits anew.
    pub(super) fn got(&self) {
        *self.waits() = Waits::default();
    }

    /// How long the source has waited in vain; not at all where it does not wait.
    pub(super) fn has_waited(&self, now: Instant) -> Duration {
        let waits = self.waits();
        let since = waits.since.filter(|_| waits.left.is_none());
        since.map_or(Duration::ZERO, |since| now.duration_since(since))
    }

    /// Whether it has waited in vain for so long, and nobody has looked since it got something what is behind that. Asked once.
    pub(super) fn came_to_rest(&self, now: Instant, after: Duration) -> bool {
        self.has_waited(now) >= after && !std::mem::replace(&mut self.waits().looked_behind, true)
    }

    /// One look behind it does not do: it is asked once more, unless something comes before.
    pub(super) fn looks_again(&self) {
        self.waits().looked_behind = false;
    }

    /// It has waited for nothing so far: there was nothing.
    pub(super) fn waits_anew(&self, now: Instant) {
        let mut waits = self.waits();
        waits.since = waits.since.map(|_| now);
    }

    /// Tells the lane's task to let go.
    pub(super) fn revoke(&self) {
        self.revoke.send_replace(true);
    }

    /// Whether it was told to.
    pub(super) fn is_revoked(&self) -> bool {
        *self.revoke.borrow()
    }

    /// Waits until the lane's task has let go; not for ever. Blocks.
    pub(super) fn await_done(&self, most: Duration) {
        let _ = self.done.wait_timeout_while(self.used(), most, |used| *used);
    }

    /// Ends once the lane is taken away; never, where it is not.
    pub(super) fn revoked(&self) -> BoxFuture<'static, ()> {
        let mut revoked = self.revoke.subscribe();
        Box::pin(async move {
            if revoked.wait_for(|revoked| *revoked).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }

    /// Waits until something of a tier has come; not for ever.
    pub(super) async fn await_live(&self, tier: Tier, most: Duration) {
        let mut live = self.live.subscribe();
        let _ = tokio::time::timeout(most, live.wait_for(|live| live.contains(&tier))).await;
    }

    /// The source is to read these retries too.
    pub(super) fn arrive(self: &Arc<Self>, tier: Tier, mut queue: PartitionQueue<Quiet>) {
        let cell = Arc::downgrade(self);
        queue.set_nonempty_callback(move || {
            if let Some(cell) = cell.upgrade() {
                cell.live.send_if_modified(|live| live.insert(tier));
                cell.came.notify_one();
            }
        });
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push((tier, queue));
        self.came.notify_one();
    }

    pub(super) fn take_arrivals(&self) -> Vec<(Tier, PartitionQueue<Quiet>)> {
        std::mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
