//! What a broker brought that does not wait, until a lane takes it: bounded, and what finds no room is dropped, counted and told.

mod reader;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::{Refused, Room};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use reader::Reader;

/// Bytes that wait at most, besides the messages' number: what hosts hold is bounded, whatever somebody publishes.
const BYTES: usize = 64 << 20;
/// Shortest time between two words about messages that were dropped.
const QUIET: Duration = Duration::from_secs(10);

/// What a subscription of a broker that forgets may say besides the common keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Subscription {
    /// Messages that wait for the handler besides those that are held, 64 MiB of them at most. Then messages are dropped, and counted in
    /// `longshore_dropped_total`.
    pub buffer: u32,
    /// Which messages are dropped when no more can wait.
    pub overflow: Overflow,
}

/// Which messages are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// Those that have waited longest.
    #[default]
    DropOldest,
    /// Those that come.
    DropNewest,
}

impl Default for Subscription {
    fn default() -> Self {
        Subscription { buffer: 10_000, overflow: Overflow::DropOldest }
    }
}

impl Subscription {
    /// What cannot mean anything.
    pub(crate) fn check(self) -> Option<Refused> {
        let (problem, help) = ("a buffer of 0 holds nothing", "write at least 1; 10000 is usual");
        (self.buffer == 0).then(|| Refused { key: "buffer", problem: problem.into(), help: help.into() })
    }
}

/// Messages that wait.
pub(crate) struct Buffer<T> {
    /// For the log: which subscription of which broker.
    name: String,
    bounds: Subscription,
    waiting: Mutex<Waiting<T>>,
    came: Notify,
    /// Dropped and not asked for yet.
    dropped: AtomicU64,
}

struct Waiting<T> {
    /// With their sizes.
    messages: VecDeque<(usize, T)>,
    bytes: usize,
    /// Dropped and not told yet.
    untold: u64,
    told_at: Option<Instant>,
}

impl<T> Buffer<T> {
    pub(crate) fn new(name: String, bounds: Subscription) -> Self {
        let waiting = Waiting { messages: VecDeque::new(), bytes: 0, untold: 0, told_at: None };
        Buffer { name, bounds, waiting: Mutex::new(waiting), came: Notify::new(), dropped: AtomicU64::new(0) }
    }

    /// Lets messages wait, each with its size.
    pub(crate) fn put(&self, messages: impl IntoIterator<Item = (usize, T)>) {
        let mut waiting = self.waiting();
        let dropped: u64 = messages.into_iter().map(|(size, message)| waiting.push(size, message, self.bounds)).sum();
        if dropped > 0 {
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
            waiting.untold += dropped;
            self.tell(&mut waiting);
        }
        drop(waiting);
        self.came.notify_one();
    }

    /// Moves what there is room for to `into`; the first message in any case. Says whether there was one.
    pub(crate) fn take(&self, room: Room, into: &mut VecDeque<T>) -> bool {
        let mut waiting = self.waiting();
        let (mut messages, mut bytes) = (0, 0);
        while messages < room.messages && (messages == 0 || bytes < room.bytes) {
            let Some((size, message)) = waiting.pop() else { break };
            into.push_back(message);
            (messages, bytes) = (messages + 1, bytes + size);
        }
        messages > 0
    }

    /// Waits until something may have come. Cancel-safe.
    pub(crate) async fn came(&self) {
        self.came.notified().await;
    }

    /// Says how many wait for a lane that does not come any more.
    pub(crate) fn tell_left(&self) {
        let count = self.waiting().messages.len();
        if count > 0 {
            tracing::warn!(count, "{}: messages waited for their turn when the subscription ended, and are lost", self.name);
        }
    }

    /// How many were dropped since this was last asked.
    pub(crate) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Says how many were dropped, now and then: whoever is too slow is so for many messages.
    fn tell(&self, waiting: &mut Waiting<T>) {
        if waiting.told_at.is_some_and(|at| at.elapsed() < QUIET) {
            return;
        }
        let Subscription { buffer, overflow } = self.bounds;
        let (count, name) = (std::mem::take(&mut waiting.untold), &self.name);
        waiting.told_at = Some(Instant::now());
        tracing::error!(count, buffer, ?overflow, "{name}: messages come faster than they are handled, and some were dropped");
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Waiting<T> {
    /// Adds a message; says how many were dropped for it, itself included.
    fn push(&mut self, size: usize, message: T, bounds: Subscription) -> u64 {
        let most = usize::try_from(bounds.buffer).unwrap_or(usize::MAX);
        let fits = |waiting: &Self| waiting.messages.len() < most && (waiting.messages.is_empty() || waiting.bytes + size <= BYTES);
        let mut dropped = 0;
        while !fits(self) {
            dropped += 1;
            if bounds.overflow == Overflow::DropNewest {
                return dropped;
            }
            self.pop();
        }
        self.messages.push_back((size, message));
        self.bytes += size;
        dropped
    }

    fn pop(&mut self) -> Option<(usize, T)> {
        let (size, message) = self.messages.pop_front()?;
        self.bytes -= size;
        Some((size, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Room = Room { messages: 100, bytes: usize::MAX };

    fn buffer(buffer: u32, overflow: Overflow) -> Buffer<u32> {
        Buffer::new("test".into(), Subscription { buffer, overflow })
    }

    fn taken(buffer: &Buffer<u32>, room: Room) -> Vec<u32> {
        let mut into = VecDeque::new();
        assert_eq!(buffer.take(room, &mut into), !into.is_empty());
        into.into()
    }

    #[tokio::test(start_paused = true)]
    async fn what_finds_no_room_is_dropped_as_asked_and_counted() {
        for (overflow, left) in [(Overflow::DropOldest, [3, 4, 5]), (Overflow::DropNewest, [1, 2, 3])] {
            let buffer = buffer(3, overflow);
            buffer.put((1..=5).map(|i| (1, i)));
            assert_eq!((buffer.take_dropped(), buffer.take_dropped()), (2, 0));
            assert_eq!(taken(&buffer, ALL), left);
            buffer.put([(1, 6)]);
            assert_eq!((taken(&buffer, ALL), buffer.take_dropped()), (vec![6], 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn large_messages_are_bounded_by_their_bytes_and_one_always_waits() {
        let buffer = buffer(1000, Overflow::DropOldest);
        buffer.put([(BYTES / 2, 1), (BYTES / 2, 2), (1, 3)]);
        assert_eq!((taken(&buffer, ALL), buffer.take_dropped()), (vec![2, 3], 1));
        buffer.put([(BYTES * 2, 4)]);
        assert_eq!((taken(&buffer, ALL), buffer.take_dropped()), (vec![4], 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_take_keeps_to_its_room_and_who_waits_is_woken() {
        let buffer = buffer(10, Overflow::DropOldest);
        buffer.put([(10, 1), (10, 2), (10, 3), (10, 4)]);
        buffer.came().await;
        assert_eq!(taken(&buffer, Room { messages: 1, bytes: 100 }), [1]);
        assert_eq!(taken(&buffer, Room { messages: 9, bytes: 15 }), [2, 3]);
        assert_eq!(taken(&buffer, Room { messages: 9, bytes: 1 }), [4]);
        assert!(taken(&buffer, ALL).is_empty());
    }
}
