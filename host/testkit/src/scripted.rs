//! A broker that does what a test tells it: the core's traits over a model of durable state, on a paused clock.
//!
//! It keeps a log of one topic in partitions, what a group has finished of it, retries that wait, leases, and everything that was
//! published. It fails where it is told to or where its seed says so, takes lanes away, and answers late settlements as a real broker
//! does: they change nothing. Everything that happens goes into a [`History`], which a test can check event by event.
//!
//! Three [`Settling`]s stand for three families of brokers: a transaction that takes outputs and acks as one (embedded), a cumulative mark
//! with ranges above it (Kafka), and a lease for each message (Redis Streams, JetStream).
//!
//! Not here: what a right answer is. That is for the test, see `host/engine/tests/simulate`.

mod consumer;
mod event;
mod group;
mod habits;
mod history;
mod log;
mod personality;
mod publisher;
mod random;
mod settling;
mod watched;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use longshore_core::{Capabilities, Consumer, Flag, Outlet};
use tokio::sync::Notify;

pub use event::{Answer, Event, Shows, Stored};
pub use habits::{HABITS, Habits, Left};
pub use history::{History, START};
pub use personality::{Faults, Personality, Settling};
pub use random::Random;
pub use watched::{Watched, closure};

use group::Group;
use log::Log;

/// The topic that a scripted broker delivers.
pub const TOPIC: &str = "orders";
/// Header by which a message is none: the broker says that it cannot be decoded.
pub const UNDECODABLE: &str = "scripted-undecodable";
/// Bytes that one published message may have.
const MAX_MESSAGE_SIZE: usize = 64 << 10;

/// A message for the broker's log.
#[derive(Debug, Clone, Default)]
pub struct NewMessage {
    /// The partition; beyond the last one it counts from the first again.
    pub partition: usize,
    /// The key.
    pub key: Option<String>,
    /// The payload.
    pub payload: Vec<u8>,
    /// Headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// A scripted broker. Cheap to clone: clones are the same broker.
#[derive(Clone)]
pub struct Broker {
    name: Arc<str>,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    history: History,
}

/// Everything that the broker knows.
pub(crate) struct State {
    pub(crate) personality: Personality,
    pub(crate) faults: Faults,
    pub(crate) random: Random,
    pub(crate) log: Log,
    pub(crate) group: Group,
    /// Ids of everything that was published, in order.
    pub(crate) published: Vec<Stored>,
    pub(crate) dead_letters_down: bool,
    pub(crate) refusals: Refusals,
}

/// What is refused for good, besides what faults draw.
#[derive(Default)]
pub(crate) struct Refusals {
    pub(crate) ids: BTreeSet<String>,
    /// Bytes of a row above which a message is too large; `None`: anything fits.
    pub(crate) above: Option<usize>,
}

impl Broker {
    /// A broker with an empty log.
    pub fn new(name: &str, personality: Personality, history: &History, random: Random) -> Self {
        let log = Log::new(personality.partitions.max(1));
        let state = State {
            personality,
            faults: Faults::default(),
            random,
            log,
            group: Group::default(),
            published: Vec::new(),
            dead_letters_down: false,
            refusals: Refusals::default(),
        };
        Broker { name: name.into(), state: Arc::new(Mutex::new(state)), changed: Arc::new(Notify::new()), history: history.clone() }
    }

    /// Appends a message and answers its number: its id is `orders/<number>`.
    pub fn append(&self, message: &NewMessage) -> u32 {
        let now = self.history.now();
        let mut state = self.state();
        let gap = state.personality.gaps && state.random.chance(20);
        let (number, partition, position) = state.log.append(message, now, gap);
        self.history.record(Event::Appended { message: number, partition, position, key: message.key.clone() });
        self.forget_unheard(&mut state);
        drop(state);
        self.changed.notify_waiters();
        number
    }

    /// The consuming side as host number `host` uses it.
    pub fn consumer(&self, host: u32) -> Arc<dyn Consumer> {
        Arc::new(consumer::ScriptedConsumer { broker: self.clone(), host })
    }

    /// The publishing side, with what the broker can do.
    pub fn outlet(&self) -> Outlet {
        Outlet {
            broker: self.name.to_string(),
            publisher: Arc::new(publisher::ScriptedPublisher { broker: self.clone() }),
            capabilities: self.capabilities(),
            max_message_size: MAX_MESSAGE_SIZE,
            published: Arc::default(),
        }
    }

    /// What it can do.
    pub fn capabilities(&self) -> Capabilities {
        match self.state().personality.settling {
            Settling::Transaction => Capabilities::of(&[Flag::Publish, Flag::Subscribe, Flag::Delay, Flag::Transactions]),
            Settling::Mark | Settling::Lease { .. } => Capabilities::of(&[Flag::Publish, Flag::Subscribe, Flag::Delay]),
        }
    }

    /// What fails from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Whether topics that end in `.dlq` take nothing.
    pub fn set_dead_letters_down(&self, down: bool) {
        self.state().dead_letters_down = down;
        self.history.record(Event::Note(format!("dead letters {}", if down { "down" } else { "up" })));
    }

    /// Refuses messages of that id from now on, for good.
    pub fn refuse(&self, id: &str) {
        self.state().refusals.ids.insert(id.to_owned());
    }

    /// Refuses messages whose packed row takes more bytes, as too large; `None`: takes all again.
    pub fn refuse_above(&self, bytes: Option<usize>) {
        self.state().refusals.above = bytes;
    }

    /// Takes away the lane that is `nth` of those assigned now, counted round. `lost`: without notice, what it settles from now on is stale.
    pub fn revoke(&self, nth: usize, lost: bool) {
        let mut state = self.state();
        if let Some(lane) = state.group.nth_current(nth) {
            state.group.shift += 1;
            self.take_away(&mut state, lane, lost);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Ids of everything published to `topic`, in order.
    pub fn published(&self, topic: &str) -> Vec<Stored> {
        self.state().published.iter().filter(|m| m.topic == topic).cloned().collect()
    }

    /// Everything published, in order.
    pub fn all_published(&self) -> Vec<Stored> {
        self.state().published.clone()
    }

    /// Numbers of the messages that are not finished: never settled, or waiting for a retry.
    pub fn unfinished(&self) -> Vec<u32> {
        let mut state = self.state();
        self.commit_due(&mut state, None);
        state.log.unfinished()
    }

    /// Numbers of messages that a lane holds now.
    pub fn held(&self) -> Vec<u32> {
        self.state().log.held()
    }

    /// Waits until every message is finished. Gives up after `seconds` on the (paused) clock: `false`.
    pub async fn finished_within(&self, seconds: u64) -> bool {
        self.until(seconds, |broker| broker.unfinished().is_empty()).await
    }

    /// Waits until `is_so`, looking whenever something happened. Gives up after `seconds`: `false`.
    pub async fn until(&self, seconds: u64, is_so: impl Fn(&Broker) -> bool) -> bool {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(seconds);
        while !is_so(self) {
            let changed = self.changed.notified();
            let soon = tokio::time::sleep(std::time::Duration::from_millis(500));
            futures::future::select(Box::pin(changed), Box::pin(soon)).await;
            if tokio::time::Instant::now() >= deadline {
                return is_so(self);
            }
        }
        true
    }

    /// The history that this broker writes.
    pub fn history(&self) -> &History {
        &self.history
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the scripted broker")
    }

    /// How long the next settlement is under way, before it has an effect.
    pub(crate) fn stall(&self) -> std::time::Duration {
        let mut state = self.state();
        let (stall, settling) = (state.faults.stall, state.personality.settling);
        match settling {
            Settling::Lease { lease, .. } if stall > 0 && state.random.chance(stall) => lease + lease / 2,
            _ => std::time::Duration::ZERO,
        }
    }

    /// How long the next answer takes, in milliseconds.
    pub(crate) fn latency(&self) -> std::time::Duration {
        let mut state = self.state();
        let slow = state.faults.slow;
        let millis = match state.random.below(10) {
            _ if slow > 0 && state.random.chance(slow) => 100 + state.random.below(5_000),
            0..7 => 0,
            7 | 8 => state.random.below(4),
            _ => state.random.below(60),
        };
        let instant = state.personality.instant;
        std::time::Duration::from_millis(if instant { 0 } else { millis })
    }
}
