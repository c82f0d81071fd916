//! The conformance suite for stores: what every store does, whatever stands behind it.
//!
//! Implement [`StoreSubject`], call [`run`], and hold what it found to [`assert_passed`]. Tests have the same names for every store and pick
//! their own buckets, so that they can share a server. Not here: what only one store has, its configuration and its errors.

mod bench;
mod buckets;
mod counting;
mod kept;
mod keys;
mod lock_bench;
mod locks;
mod storm;
mod times;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use longshore_core::{BoxFuture, StoreRoles};

use crate::conformance::{Verdict, text_of};
pub use bench::{Bench, Kind};
pub use storm::jumping_clock;

/// How long one test may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// A store under test.
pub trait StoreSubject: Send + Sync {
    /// Connects, for one test.
    fn connect(&self) -> BoxFuture<'_, StoreRoles>;

    /// Connects once more, as another host on the same store would; where only one can, as the same.
    fn another<'a>(&'a self, first: &'a StoreRoles) -> BoxFuture<'a, StoreRoles>;

    /// Ends everything behind `roles` as a crash would, and connects again to what outlives it. `None` where nothing does.
    fn restart(&self, roles: StoreRoles) -> BoxFuture<'_, Option<StoreRoles>>;
}

/// Has locks granted to many clients that stand still, vanish and let go at random, and panics unless each had one holder at a time and fences
/// that grew with every grant: a few hundred grants, or 100,000 with `LONGSHORE_FAULTS_FULL` in the environment.
pub async fn storm_of_locks(subject: &dyn StoreSubject) {
    let is_full = std::env::vars_os().any(|(name, _)| name == "LONGSHORE_FAULTS_FULL");
    storm::run(subject, if is_full { 100_000 } else { 600 }).await;
}

/// One test of one kind of bucket, or of locks.
#[derive(Clone, Copy)]
pub struct Test {
    /// A sentence that is true of a store.
    pub name: &'static str,
    /// The kinds of bucket of which it is true.
    kinds: &'static [Kind],
    run: fn(&dyn StoreSubject, Kind) -> BoxFuture<'_, Verdict>,
}

/// How one test ended on one kind of bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The test's name.
    pub test: &'static str,
    /// The kind of bucket.
    pub kind: Kind,
    /// How it ended.
    pub verdict: Verdict,
}

/// All tests.
pub fn tests() -> Vec<Test> {
    [buckets::TESTS, counting::TESTS, keys::TESTS, times::TESTS, kept::TESTS, locks::TESTS, &[locks::CRASH]].concat()
}

/// Runs the suite.
pub async fn run(subject: &dyn StoreSubject) -> Vec<Entry> {
    let mut entries = Vec::new();
    for test in tests() {
        for kind in test.kinds {
            let ended = tokio::time::timeout(DEADLINE, AssertUnwindSafe((test.run)(subject, *kind)).catch_unwind()).await;
            let verdict = match ended {
                Ok(Ok(verdict)) => verdict,
                Ok(Err(panic)) => Verdict::Failed(text_of(&*panic)),
                Err(_) => Verdict::Failed(format!("it did not end within {DEADLINE:?}")),
            };
            entries.push(Entry { test: test.name, kind: *kind, verdict });
        }
    }
    entries
}

/// Panics unless everything passed but `unsupported`, which must be refused or mean nothing there.
pub fn assert_passed(entries: &[Entry], unsupported: &[&str]) {
    let expected = |entry: &Entry| if unsupported.contains(&entry.test) { Verdict::Unsupported } else { Verdict::Passed };
    let wrong: Vec<&Entry> = entries.iter().filter(|entry| entry.verdict != expected(entry)).collect();
    assert!(wrong.is_empty(), "the store does not do what a store does: {wrong:#?}");
}

/// Tests from async functions that take a bench.
macro_rules! suite {
    ($kinds:expr, $bench:ident => $($name:ident),+ $(,)?) => {
        &[$($crate::stores::Test {
            name: stringify!($name),
            kinds: $kinds,
            run: |subject, kind| Box::pin(async move {
                $name($bench::new(subject, kind).await).await;
                $crate::conformance::Verdict::Passed
            }),
        }),+]
    };
    ($kinds:expr => $($name:ident),+ $(,)?) => { $crate::stores::suite!($kinds, Bench => $($name),+) };
}
pub(crate) use suite;
