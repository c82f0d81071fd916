//! The reading half of a lane: what waits in its buffer, as far as there is room. After a loss the next fetch connects again.

use std::sync::Arc;

use longshore_core::row;
use longshore_core::{Batch, BoxFuture, BrokerError, Clock, Facts, Room, Source, headers};
use redis::PushInfo;

use super::ear::Ear;
use super::element;
use super::wanted::Wanted;
use crate::buffer::{Buffer, Reader};
use crate::redis::entry::{bytes, text};
use crate::redis::errors::stands;
use crate::redis::names::new_consumer;
use crate::redis::server::Server;

/// The reading half.
pub(super) struct PubSubSource {
    server: Arc<Server>,
    clock: Clock,
    wanted: Wanted,
    reader: Reader<PushInfo>,
    /// `None` after a loss.
    ear: Option<Ear>,
    /// What ids begin with of messages that come without one.
    prefix: String,
}

impl PubSubSource {
    pub(super) fn new(server: Arc<Server>, clock: Clock, wanted: Wanted, buffer: Arc<Buffer<PushInfo>>, ear: Ear) -> Self {
        PubSubSource { server, clock, wanted, reader: Reader::new(buffer), ear: Some(ear), prefix: new_consumer() }
    }

    /// Connects again after a loss. `true`: it did.
    async fn mend(&mut self) -> Result<bool, BrokerError> {
        if self.ear.is_some() {
            return Ok(false);
        }
        self.ear = Some(Ear::open(&self.server, &self.wanted, Arc::clone(self.reader.buffer())).await.map_err(stands)?);
        let topics = self.wanted.channels().into_iter().chain(self.wanted.globs()).collect::<Vec<_>>().join(", ");
        tracing::warn!(broker = %self.server.name, %topics, "subscribed again: what was published meanwhile went past this subscription");
        Ok(true)
    }
}

impl Source for PubSubSource {
    fn fetch<'a>(&'a mut self, room: Room, into: &'a mut Batch) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            loop {
                let PubSubSource { reader, wanted, prefix, clock, .. } = &mut *self;
                let write = |row: &mut Vec<u8>, push: &PushInfo, position| write(row, push, wanted, &format!("{prefix}-{position}"), clock);
                // What came is handed over first, whatever has become of the connection since.
                if reader.read(room, into, write) {
                    return Ok(());
                }
                if self.mend().await? {
                    return Ok(());
                }
                let (ear, patience) = (self.ear.as_mut().expect("it was just mended"), self.server.response_timeout);
                tokio::select! {
                    () = self.reader.buffer().came() => {}
                    () = ear.lost(patience) => {
                        self.ear = None;
                        return Err(BrokerError::retry(format!("broker {:?}: the connection to Redis is lost", self.server.name)));
                    }
                }
            }
        })
    }

    fn take_dropped(&mut self) -> u64 {
        self.reader.buffer().take_dropped()
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
    row::append(row, &entry.message(channel, id, clock.now(), 1));
    Some(facts)
}
