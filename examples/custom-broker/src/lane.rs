//! One lane: reads a topic's file as it grows, and hands out again what is to be tried again.
//!
//! Reading and settling are two objects, and the engine uses both at once. All they share here is which messages wait for a retry: in memory,
//! as a spool has nowhere to keep it, and therefore not `AckNack`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::{Acks, Again, Batch, BoxFuture, BrokerError, Facts, Receipt, Room, SettleError, Settled, Source};
use tokio::time::{Instant, sleep_until};

use crate::file::{MAX_ROW, TopicFile, row_at};
use crate::{blocking, told};

/// Longest wait of a retry; timers have a horizon.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Bytes on their way from the file.
type Reading = BoxFuture<'static, Result<Vec<u8>, BrokerError>>;

/// What is read next.
#[derive(Clone, Copy)]
enum Next {
    New,
    Retry(u64),
}

/// The reading half.
pub(crate) struct Follow {
    file: TopicFile,
    /// Where the first row begins that was not handed over.
    from: u64,
    /// What was read, of which `used` bytes are handed over.
    read: Vec<u8>,
    used: usize,
    /// A reading under way. It is kept between fetches: the engine drops a fetch whenever something else comes first.
    reading: Option<(Next, Reading)>,
    poll_interval: Duration,
    next_look: Instant,
    /// Most messages that may wait for a retry; beyond that, nothing new is read.
    window: usize,
    retries: Arc<Retries>,
}

impl Follow {
    pub(crate) fn new(file: TopicFile, from: u64, poll_interval: Duration, window: usize, retries: Arc<Retries>) -> Self {
        let (read, next_look) = (Vec::new(), Instant::now());
        Follow { file, from, read, used: 0, reading: None, poll_interval, next_look, window, retries }
    }
}

impl Source for Follow {
    fn fetch<'a>(&'a mut self, room: Room, into: &'a mut Batch) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            while !self.hand_over(room, into)? {
                if self.reading.is_none() {
                    let next = self.wait().await;
                    self.reading = Some((next, self.begin(next)));
                }
                let (next, reading) = self.reading.as_mut().expect("it was begun above");
                let (next, read) = (*next, reading.await);
                // No await from here on: what was read is handed over or kept, or the fetch was dropped before.
                self.reading = None;
                match next {
                    Next::New => self.take(read?),
                    Next::Retry(position) => return self.hand_over_again(position, &read?, into),
                }
            }
            Ok(())
        })
    }
}

impl Follow {
    /// Hands over what was read, as far as there is room. `false`: nothing whole is left of it.
    fn hand_over(&mut self, room: Room, into: &mut Batch) -> Result<bool, BrokerError> {
        let (mut messages, mut bytes) = (0, 0);
        while messages < room.messages {
            let row = match row_at(&self.read, self.used) {
                Ok(Some(row)) => row,
                Err(error) if messages == 0 => return Err(told(&self.file.name(), &error)),
                _ => break,
            };
            bytes += row.size();
            if messages > 0 && bytes > room.bytes {
                break;
            }
            // Positions ascend and begin at 1: 0 would mean that there is none.
            into.push_row(row, row.attempt(), Receipt { position: self.from + 1, token: &[] }, Facts::default());
            self.used += row.size();
            self.from += row.size() as u64;
            messages += 1;
        }
        Ok(messages > 0)
    }

    /// Waits until a retry is due, or it is time to look for new messages.
    async fn wait(&mut self) -> Next {
        loop {
            let (now, retry) = (Instant::now(), self.retries.first());
            if let Some((due, position)) = retry
                && due <= now
            {
                return Next::Retry(position);
            }
            if self.next_look <= now {
                if self.retries.len() < self.window {
                    return Next::New;
                }
                self.next_look = now + self.poll_interval;
            }
            sleep_until(retry.map_or(self.next_look, |(due, _)| due.min(self.next_look))).await;
        }
    }

    fn begin(&self, next: Next) -> Reading {
        let (file, from) = (self.file.clone(), self.from);
        let read = move || match next {
            Next::New => file.read(from, MAX_ROW).map_err(|e| told(&file.name(), &e)),
            Next::Retry(position) => file.read_row(position - 1).map_err(|e| told(&file.name(), &e)),
        };
        Box::pin(blocking(read))
    }

    fn take(&mut self, read: Vec<u8>) {
        if !matches!(row_at(&read, 0), Ok(Some(_))) {
            self.next_look = Instant::now() + self.poll_interval;
        }
        (self.read, self.used) = (read, 0);
    }

    fn hand_over_again(&self, position: u64, read: &[u8], into: &mut Batch) -> Result<(), BrokerError> {
        let gone = || BrokerError::give_up(format!("{}: the message at {position}, to be tried again, is gone", self.file.name()));
        let row = row_at(read, 0).map_err(|e| told(&self.file.name(), &e))?.ok_or_else(gone)?;
        let (how, deliveries) = self.retries.hand_over(position).ok_or_else(gone)?;
        let facts = Facts { deliveries, first_failed_at: how.first_failed_at, ..Facts::default() };
        into.push_row(row, how.attempt, Receipt { position, token: &[] }, facts);
        Ok(())
    }
}

/// The settling half. A broker that keeps acknowledgements would write `up_to` and `above` of the round down here.
pub(crate) struct Settling {
    pub(crate) retries: Arc<Retries>,
}

impl Acks for Settling {
    fn settle<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<(), SettleError>> {
        self.retries.settle(round);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Messages of a lane that failed and are not finished, by position.
#[derive(Default)]
pub(crate) struct Retries(Mutex<BTreeMap<u64, Retry>>);

struct Retry {
    /// `None` while it is handed over.
    due: Option<Instant>,
    how: Again,
    deliveries: u32,
}

impl Retries {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Retry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn len(&self) -> usize {
        self.lock().len()
    }

    /// The one that is due first, and when.
    fn first(&self) -> Option<(Instant, u64)> {
        self.lock().iter().filter_map(|(position, retry)| Some((retry.due?, *position))).min()
    }

    fn hand_over(&self, position: u64) -> Option<(Again, u32)> {
        let mut retries = self.lock();
        let retry = retries.get_mut(&position)?;
        retry.due = None;
        Some((retry.how, retry.deliveries))
    }

    fn settle(&self, round: &Settled) {
        let (now, mut retries) = (Instant::now(), self.lock());
        for position in round.finished.positions() {
            retries.remove(position);
        }
        for (position, how) in round.again.positions().iter().zip(&round.again_how) {
            let retry = retries.entry(*position).or_insert(Retry { due: None, how: *how, deliveries: 1 });
            // A delay is a floor: counted from now, not from when the handler failed.
            (retry.due, retry.how, retry.deliveries) = (Some(now + how.delay.min(LONGEST)), *how, retry.deliveries + 1);
        }
    }
}
