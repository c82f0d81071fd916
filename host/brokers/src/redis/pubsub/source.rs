//! The reading half of a lane: what waits in its buffer, as far as there is room. After a loss the next fetch connects again.

use std::collections::VecDeque;
use std::sync::Arc;

use longshore_core::row::{self, Row};
use longshore_core::{Batch, BoxFuture, BrokerError, Clock, Facts, Receipt, Room, Source, headers};
use redis::PushInfo;

use super::ear::Ear;
use super::element;
use super::wanted::Wanted;
use crate::buffer::Buffer;
use crate::redis::entry::{bytes, text};
use crate::redis::errors::stands;
use crate::redis::names::new_consumer;
use crate::redis::server::Server;

/// The reading half.
pub(super) struct PubSubSource {
    server: Arc<Server>,
    clock: Clock,
    wanted: Wanted,
    buffer: Arc<Buffer<PushInfo>>,
    /// `None` after a loss.
    ear: Option<Ear>,
    /// Taken from the buffer and not handed over yet.
    here: VecDeque<PushInfo>,
    row: Vec<u8>,
    /// Messages handed over.
    count: u64,
    /// What ids begin with of messages that come without one.
    prefix: String,
}

impl PubSubSource {
    pub(super) fn new(server: Arc<Server>, clock: Clock, wanted: Wanted, buffer: Arc<Buffer<PushInfo>>, ear: Ear) -> Self {
        let (here, row, prefix) = (VecDeque::new(), Vec::new(), new_consumer());
        PubSubSource { server, clock, wanted, buffer, ear: Some(ear), here, row, count: 0, prefix }
    }

    /// Hands over what is here, as far as there is room; the first message in any case. Says whether there was one.
    fn hand_over(&mut self, room: Room, into: &mut Batch) -> bool {
        let (before, bytes) = (into.len(), into.bytes());
        while into.len() - before < room.messages {
            let Some(push) = self.here.front() else { break };
            let position = self.count + 1;
            if let Some(facts) = write(&mut self.row, push, &self.wanted, &format!("{}-{position}", self.prefix), &self.clock) {
                let row = Row::at(&self.row, 0).expect("it was just written");
                if into.len() > before && into.bytes() - bytes + row.size() > room.bytes {
                    break;
                }
                into.push_row(row, 1, Receipt { position, token: &[] }, facts);
                self.count = position;
            }
            self.here.pop_front();
        }
        into.len() > before
    }

    /// Connects again after a loss. `true`: it did.
    async fn mend(&mut self) -> Result<bool, BrokerError> {
        if self.ear.is_some() {
            return Ok(false);
        }
        self.ear = Some(Ear::open(&self.server, &self.wanted, self.buffer.clone()).await.map_err(stands)?);
        let topics = self.wanted.channels().into_iter().chain(self.wanted.globs()).collect::<Vec<_>>().join(", ");
        tracing::warn!(broker = %self.server.name, %topics, "subscribed again: what was published meanwhile went past this subscription");
        Ok(true)
    }
}

impl Source for PubSubSource {
    fn fetch<'a>(&'a mut self, room: Room, into: &'a mut Batch) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            loop {
                if self.here.is_empty() {
                    self.buffer.take(room, &mut self.here);
                }
                // What came is handed over first, whatever has become of the connection since.
                if !self.here.is_empty() {
                    if self.hand_over(room, into) {
                        return Ok(());
                    }
                    continue;
                }
                if self.mend().await? {
                    return Ok(());
                }
                let (ear, patience) = (self.ear.as_mut().expect("it was just mended"), self.server.response_timeout);
                tokio::select! {
                    () = self.buffer.came() => {}
                    () = ear.lost(patience) => {
                        self.ear = None;
                        return Err(BrokerError::retry(format!("broker {:?}: the connection to Redis is lost", self.server.name)));
                    }
                }
            }
        })
    }

    fn take_dropped(&mut self) -> u64 {
        self.buffer.take_dropped()
    }
}

/// Makes the row of what came, unless it is not meant; `id` is its id where it has none.
fn write(row: &mut Vec<u8>, push: &PushInfo, wanted: &Wanted, id: &str, clock: &Clock) -> Option<Facts> {
    let (by, channel, element) = match push.data.as_slice() {
        [channel, element] => (None, text(channel)?, bytes(element)?),
        [by, channel, element] => (Some(text(by)?), text(channel)?, bytes(element)?),
        _ => return None,
    };
    let pattern = wanted.meant(channel, by)?;
    let (mut entry, facts) = element::read(element);
    entry.headers.retain(|(name, _)| *name != headers::PATTERN);
    if let Some(pattern) = pattern {
        entry.headers.push((headers::PATTERN, pattern.as_str().as_bytes()));
    }
    row.clear();
    row::append(row, &entry.message(channel, id, clock.now(), 1));
    Some(facts)
}
