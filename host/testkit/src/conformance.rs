//! The conformance suite: what an adapter declares is tested, what it does not declare must be refused.
//!
//! It runs on the core's traits alone, against any adapter, also one of somebody else's: implement [`Subject`], call [`run`], and hold the
//! [`Matrix`] to [`Matrix::assert_passed`]. Tests have the same names for every adapter and pick their own topics, so that they can share a
//! server. Not here: what only one adapter has, its configuration and its errors.

mod acks;
mod bench;
mod broadcast;
mod consuming;
mod dead_letters;
mod delays;
mod durable;
mod groups;
mod hand;
mod matrix;
mod partitions;
mod patterns;
mod publishing;
mod refusals;
mod replay;
mod requests;
mod transactions;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use longshore_core::{BoxFuture, Capabilities, Flag, Roles};

pub use bench::Bench;
pub use hand::Hand;
pub use matrix::{Entry, Matrix, Verdict};

/// How long one test may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// A broker under test.
pub trait Subject: Send + Sync {
    /// What it declares.
    fn capabilities(&self) -> Capabilities;

    /// Connects, for one test.
    fn connect(&self) -> BoxFuture<'_, Roles>;

    /// Ends everything behind `roles` as a crash would, and connects again to what outlives it. `None` where nothing does; a durable broker
    /// must.
    fn restart(&self, roles: Roles) -> BoxFuture<'_, Option<Roles>>;
}

/// One test and the flag that it belongs to.
#[derive(Clone, Copy)]
pub struct Test {
    /// A sentence that is true of a broker with the flag.
    pub name: &'static str,
    /// Only a broker that declares it is tested.
    pub flag: Flag,
    run: fn(&dyn Subject) -> BoxFuture<'_, ()>,
}

/// All tests, in the order of tables.
pub fn tests() -> Vec<Test> {
    let groups = [
        publishing::TESTS,
        consuming::SUBSCRIBE,
        consuming::ORDER,
        consuming::BLOCKING,
        groups::TESTS,
        acks::SETTLING,
        acks::GUARANTEES,
        dead_letters::TESTS,
        replay::TESTS,
        partitions::TESTS,
        delays::TESTS,
        transactions::TESTS,
        requests::TESTS,
        patterns::TESTS,
        durable::TESTS,
        broadcast::TESTS,
    ];
    groups.concat()
}

/// Runs the suite.
pub async fn run(subject: &dyn Subject) -> Matrix {
    let mut entries = Vec::new();
    for test in tests() {
        let verdict = if subject.capabilities().has(test.flag) {
            verdict((test.run)(subject), Verdict::Passed).await
        } else {
            verdict(refusals::check(subject, test.flag), Verdict::Unsupported).await
        };
        entries.push(Entry { test: test.name, flag: test.flag, verdict });
    }
    Matrix { entries }
}

async fn verdict(test: BoxFuture<'_, ()>, good: Verdict) -> Verdict {
    match tokio::time::timeout(DEADLINE, AssertUnwindSafe(test).catch_unwind()).await {
        Ok(Ok(())) => good,
        Ok(Err(panic)) => Verdict::Failed(text_of(&*panic)),
        Err(_) => Verdict::Failed(format!("it did not end within {DEADLINE:?}")),
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}

/// A test of the table, from an async function that takes a bench.
macro_rules! suite {
    ($flag:expr => $($name:ident),+ $(,)?) => {
        &[$($crate::conformance::Test {
            name: stringify!($name),
            flag: $flag,
            run: |subject| Box::pin(async move { $name($crate::conformance::Bench::new(subject).await).await }),
        }),+]
    };
}
pub(crate) use suite;
