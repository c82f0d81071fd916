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
mod forgetful;
mod groups;
mod hand;
mod inbox;
mod matrix;
mod page;
mod partitions;
mod patterns;
mod publishing;
mod refusals;
mod replay;
mod requests;
mod transactions;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use longshore_core::{BoxFuture, Capabilities, Flag, OwnKeys, Roles, TopicSettings};

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

    /// What a topic and its subscriptions need on this broker so that several groups, patterns or broadcasts can read it.
    fn shared(&self) -> Shared {
        Shared::default()
    }

    /// Keys of its own that every subscription of the suite gets: a short lease, say, so that what a crash left in somebody's hands comes soon.
    fn own_keys(&self) -> OwnKeys {
        OwnKeys::default()
    }

    /// For how long a crash of the broker may undo a settlement, where the broker does not write each one down at once.
    fn commit_interval(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether what is settled outlives a crash of the broker from the moment on at which settling has answered. Where the broker does not
    /// confirm it, what was settled last may come again.
    fn confirms_settlements(&self) -> bool {
        true
    }

    /// Whether a topic is a queue that one group empties: a second group is refused, and so is any start but the oldest message.
    fn is_queue(&self) -> bool {
        false
    }

    /// Whether it keeps nothing: what is published goes to who listens then, once at most.
    fn forgets(&self) -> bool {
        false
    }

    /// How many tests may run side by side: more than one where tests wait for the broker more than they work.
    fn at_once(&self) -> usize {
        1
    }

    /// Ends everything behind `roles` as a crash would, and connects again to what outlives it. `None` where nothing does; a durable broker
    /// must.
    fn restart(&self, roles: Roles) -> BoxFuture<'_, Option<Roles>>;
}

/// How a topic is kept and read that not one group has for itself. Nothing of its own on most brokers.
#[derive(Debug, Clone, Default)]
pub struct Shared {
    /// How the topic is made.
    pub topic: TopicSettings,
    /// Keys of its subscriptions.
    pub subscription: OwnKeys,
}

/// One test and the flag that it belongs to.
#[derive(Clone, Copy)]
pub struct Test {
    /// A sentence that is true of a broker with the flag.
    pub name: &'static str,
    /// Only a broker that declares it is tested.
    pub flag: Flag,
    /// Another that the test needs besides.
    also: Option<Flag>,
    /// Brokers of which it is not true, and which are asked for something else in its place.
    not_of: Option<Habit>,
    /// Whether the broker has the role that the test needs besides, where the flag does not promise it.
    has_role: fn(&Roles) -> bool,
    run: fn(&dyn Subject) -> BoxFuture<'_, ()>,
}

/// How a broker deals with messages that makes some tests mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    /// [`Subject::is_queue`].
    Queue,
    /// [`Subject::forgets`].
    Forgetful,
}

impl Habit {
    fn is_of(self, subject: &dyn Subject) -> bool {
        match self {
            Habit::Queue => subject.is_queue(),
            Habit::Forgetful => subject.forgets(),
        }
    }

    /// What such a broker is asked in place of the test.
    fn instead(self, subject: &dyn Subject) -> BoxFuture<'_, ()> {
        match self {
            Habit::Queue => refusals::queue(subject),
            Habit::Forgetful => forgetful::keeps_nothing(subject),
        }
    }
}

/// All tests, in the order of tables.
pub fn tests() -> Vec<Test> {
    let groups = [
        publishing::TESTS,
        publishing::TOPICS,
        consuming::FIRST,
        consuming::START,
        consuming::SUBSCRIBE,
        consuming::ORDER,
        consuming::BLOCKING,
        groups::SEVERAL,
        groups::TESTS,
        groups::LISTED,
        acks::SETTLING,
        acks::GUARANTEES,
        acks::WAITING,
        acks::FAIRNESS,
        acks::PURGING,
        dead_letters::TESTS,
        replay::SUBSCRIBING,
        replay::GROUPS,
        replay::TOPICS,
        partitions::TESTS,
        delays::TESTS,
        delays::COUNTS,
        transactions::TESTS,
        inbox::TESTS,
        inbox::ROUNDS,
        requests::TESTS,
        patterns::TESTS,
        durable::TESTS,
        durable::DELAYS,
        inbox::DURABLE,
        broadcast::TESTS,
        broadcast::RETRIES,
        broadcast::GROUPS,
    ];
    groups.concat()
}

/// Runs the suite.
pub async fn run(subject: &dyn Subject) -> Matrix {
    let roles = subject.connect().await;
    // What crashes the broker does so to all who use it.
    let (alone, together): (Vec<_>, Vec<_>) = tests().into_iter().enumerate().partition(|(_, test)| test.crashes_the_broker());
    let run = async |(at, test): (usize, Test)| (at, test.entry(subject, &roles).await);
    let mut entries: Vec<(usize, Entry)> = stream::iter(together).map(run).buffer_unordered(subject.at_once()).collect().await;
    for test in alone {
        entries.push(run(test).await);
    }
    entries.sort_by_key(|(at, _)| *at);
    Matrix { entries: entries.into_iter().map(|(_, entry)| entry).collect() }
}

impl Test {
    fn crashes_the_broker(&self) -> bool {
        self.flag == Flag::Durable || self.also == Some(Flag::Durable)
    }

    async fn entry(&self, subject: &dyn Subject, roles: &Roles) -> Entry {
        let declared = subject.capabilities();
        let missing = std::iter::once(self.flag).chain(self.also).find(|flag| !declared.has(*flag));
        let habit = self.not_of.filter(|habit| habit.is_of(subject));
        let verdict = match (missing, (self.has_role)(roles), habit) {
            (None, true, Some(habit)) => verdict(habit.instead(subject), Verdict::Unsupported).await,
            (None, true, None) => verdict((self.run)(subject), Verdict::Passed).await,
            (None, false, _) => Verdict::Unsupported,
            (Some(flag), ..) => verdict(refusals::check(subject, flag), Verdict::Unsupported).await,
        };
        Entry { test: self.name, flag: self.flag, verdict }
    }
}

async fn verdict(test: BoxFuture<'_, ()>, good: Verdict) -> Verdict {
    match tokio::time::timeout(DEADLINE, AssertUnwindSafe(test).catch_unwind()).await {
        Ok(Ok(())) => good,
        Ok(Err(panic)) => Verdict::Failed(text_of(&*panic)),
        Err(_) => Verdict::Failed(format!("it did not end within {DEADLINE:?}")),
    }
}

pub(crate) fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}

/// Tests of a flag, from async functions that take a bench; with a role that they need besides, if they do.
macro_rules! suite {
    ($flag:expr => $($name:ident),+ $(,)?) => { suite!($flag, |_| true => $($name),+) };
    ($flag:expr, not of $habit:ident => $($name:ident),+ $(,)?) => {
        suite!($flag, None, |_| true, Some($crate::conformance::Habit::$habit) => $($name),+)
    };
    ($flag:expr, $has_role:expr => $($name:ident),+ $(,)?) => { suite!($flag, None, $has_role => $($name),+) };
    ($flag:expr, $also:expr, $has_role:expr => $($name:ident),+ $(,)?) => { suite!($flag, $also, $has_role, None => $($name),+) };
    ($flag:expr, $also:expr, $has_role:expr, $not_of:expr => $($name:ident),+ $(,)?) => {
        &[$($crate::conformance::Test {
            name: stringify!($name),
            flag: $flag,
            also: $also,
            not_of: $not_of,
            has_role: $has_role,
            run: |subject| Box::pin(async move { $name($crate::conformance::Bench::new(subject).await).await }),
        }),+]
    };
}
pub(crate) use suite;
