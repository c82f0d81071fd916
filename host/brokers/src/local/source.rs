//! The reading half of a lane: new messages from the log, and retries when they are due.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use longshore_core::{Batch, BoxFuture, BrokerError, Clock, Room, Source};
use tokio::sync::watch;
use tokio::time::sleep;

use super::backend::Backend;
use super::catalog::topic_gone;
use super::front::Local;
use super::lanes::Opened;
use super::members::Claim;
use super::read::{Got, Read};
use super::tables::LaneId;
use crate::chunk::Chunk;

type Result<T> = std::result::Result<T, BrokerError>;
/// A reading under way. It is kept between fetches, so that a dropped fetch loses nothing.
type Reading = BoxFuture<'static, Result<Brought>>;

/// Milliseconds before retries are looked for again that were due and not there.
const PAUSE: u64 = 100;

/// What a reading brought.
enum Brought {
    New(Got),
    Retries(Batch),
}

/// What comes next.
enum Next {
    New(u64),
    Retries,
}

/// The reading half.
pub(super) struct LaneSource<B> {
    front: Arc<Local<B>>,
    claim: Arc<Claim>,
    lane: LaneId,
    /// Everything up to `read.from` was brought.
    read: Read,
    newest: watch::Receiver<u64>,
    due: watch::Receiver<u64>,
    reading: Option<Reading>,
    chunk: Chunk,
    /// Whether retries come first where both are there.
    retries_first: bool,
    /// Time before which retries are not looked for, after some were due and none was there.
    not_before: u64,
}

impl<B> LaneSource<B> {
    /// The source of an opened lane, which begins behind `read.from`.
    pub(super) fn new(front: Arc<Local<B>>, claim: Arc<Claim>, opened: &Opened, read: Read) -> Self {
        LaneSource {
            front,
            claim,
            lane: opened.lane,
            read,
            newest: opened.newest.clone(),
            due: opened.due.clone(),
            reading: None,
            chunk: Chunk::default(),
            retries_first: true,
            not_before: 0,
        }
    }
}

impl<B: Backend> Source for LaneSource<B> {
    fn fetch<'a>(&'a mut self, room: Room, into: &'a mut Batch) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            while self.chunk.is_used_up() {
                if self.reading.is_none() {
                    let next = self.wait().await?;
                    self.reading = Some(self.begin(&next, room));
                }
                let reading = self.reading.as_mut().expect("it was begun above");
                let brought = reading.await;
                self.reading = None;
                self.take(brought?);
            }
            self.chunk.hand_over(room, into);
            Ok(())
        })
    }
}

impl<B: Backend> LaneSource<B> {
    /// Waits for something to read. When both new messages and retries are there, they take turns.
    async fn wait(&mut self) -> Result<Next> {
        loop {
            let (newest, due) = (*self.newest.borrow_and_update(), self.not_before.max(*self.due.borrow_and_update()));
            let new = newest > self.read.from;
            let retries = due <= self.front.clock.now();
            if self.newest.has_changed().is_err() {
                return Err(topic_gone());
            }
            if retries && (self.retries_first || !new) {
                self.retries_first = false;
                return Ok(Next::Retries);
            }
            if new {
                self.retries_first = true;
                return Ok(Next::New(newest));
            }
            tokio::select! {
                changed = self.newest.changed() => changed.map_err(|_| topic_gone())?,
                changed = self.due.changed() => changed.map_err(|_| topic_gone())?,
                () = sleep_until(&self.front.clock, due) => {}
            }
        }
    }

    fn begin(&mut self, next: &Next, room: Room) -> Reading {
        let backend = self.front.backend.clone();
        let batch = std::mem::take(self.chunk.anew());
        match next {
            Next::New(newest) => {
                let read = Read { room, until: *newest, ..self.read.clone() };
                Box::pin(async move { backend.read(read, batch).await.map(Brought::New) })
            }
            Next::Retries => {
                let (lane, now) = (self.lane, self.front.clock.now());
                let work = move |broker: &mut super::broker::Broker<B::Tables>| {
                    let mut batch = Batch::default();
                    Ok(broker.due(lane, room, now, &mut batch)?.map(|()| batch))
                };
                Box::pin(async move { backend.write(work).await?.map(Brought::Retries) })
            }
        }
    }

    fn take(&mut self, brought: Brought) {
        *self.chunk.anew() = match brought {
            Brought::New(got) => {
                self.read.from = self.read.from.max(got.up_to);
                self.claim.read.store(self.read.from, Ordering::Relaxed);
                got.batch
            }
            Brought::Retries(batch) => {
                self.not_before = if batch.is_empty() { self.front.clock.now() + PAUSE } else { 0 };
                batch
            }
        };
    }
}

/// Longest sleep before the clock is asked again: it may be set, and timers have a horizon.
const LONGEST: Duration = Duration::from_secs(3600);

/// Sleeps until the wall clock says so; never less.
pub(super) async fn sleep_until(clock: &Clock, time: u64) {
    loop {
        let now = clock.now();
        if now >= time {
            return;
        }
        sleep(Duration::from_millis(time - now).min(LONGEST)).await;
    }
}
