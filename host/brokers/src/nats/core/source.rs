//! The reading half of a lane: what waits in its buffer, as far as there is room, and what happens to the connection meanwhile.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Message as Came;
use longshore_core::row;
use longshore_core::{Batch, BoxFuture, BrokerError, Clock, Facts, Message, Pattern, Room, Source, headers};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::listening::{Heard, Listening};
use crate::buffer::{Buffer, Reader};
use crate::nats::headers::decode;
use crate::nats::heard::Doing;
use crate::nats::link::Link;
use crate::nats::names::{INBOX, check_topic, is_inbox};

/// How often a lost connection is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What a lane hears.
pub(super) struct Terms {
    /// What its subscription asks for, in order.
    pub(super) patterns: Vec<Pattern>,
    /// The same as the server knows it.
    pub(super) filters: Vec<String>,
    /// Whether it is a queue group's: then the server gives a message once, whatever number of filters mean it.
    pub(super) shared: bool,
    /// How often the connection had been lost when it began.
    pub(super) losses: u64,
}

impl Terms {
    /// Whether a message is one of a topic, and this copy of it the one that is handed over: each filter that means it brings one.
    fn mean(&self, heard: &Heard) -> bool {
        let subject = heard.message.subject.as_str();
        let first = || self.patterns.iter().position(|pattern| pattern.matches(subject));
        heard.message.status.is_none() && check_topic(subject).is_ok() && (self.shared || first() == Some(heard.filter))
    }
}

/// The reading half.
pub(super) struct CoreSource {
    link: Arc<Link>,
    clock: Clock,
    reader: Reader<Heard>,
    terms: Terms,
    /// What ids begin with of messages that come without one.
    prefix: String,
    /// Tells when something happened to the connection.
    events: watch::Receiver<()>,
    /// Since when the connection is known to be lost.
    lost_at: Option<Instant>,
    _task: JoinSet<()>,
}

impl CoreSource {
    pub(super) fn new(link: Arc<Link>, clock: Clock, buffer: Arc<Buffer<Heard>>, terms: Terms, listening: Listening) -> Self {
        let mut task = JoinSet::new();
        task.spawn(listening.run());
        let prefix = link.client.new_inbox().replace(INBOX, "");
        let events = link.heard.listen();
        CoreSource { link, clock, reader: Reader::new(buffer), terms, prefix, events, lost_at: None, _task: task }
    }

    /// Looks at the connection. `true`: it is there again.
    fn look(&mut self) -> Result<bool, BrokerError> {
        if let Some(filter) = self.terms.filters.iter().find(|filter| self.link.heard.has_refused(Doing::Subscribing, filter)) {
            let what = format!("broker {:?}: the user has no right to subscribe to {filter:?}; give it `subscribe` for it", self.link.name);
            return Err(BrokerError::give_up(what));
        }
        if let Err(error) = self.link.check() {
            if self.lost_at.is_none() {
                self.lost_at = Some(Instant::now());
                return Err(error);
            }
            return Ok(false);
        }
        let losses = self.link.heard.losses();
        let was_lost = losses != std::mem::replace(&mut self.terms.losses, losses);
        let since = self.lost_at.take();
        if was_lost || since.is_some() {
            let (broker, gap) = (&self.link.name, since.map(|at| at.elapsed()).unwrap_or_default());
            let topics = self.terms.filters.join(", ");
            tracing::warn!(%broker, %topics, ?gap, "connected again: what was published meanwhile went past this subscription");
        }
        Ok(was_lost || since.is_some())
    }
}

impl Source for CoreSource {
    fn fetch<'a>(&'a mut self, room: Room, into: &'a mut Batch) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            loop {
                let CoreSource { reader, terms, prefix, clock, .. } = &mut *self;
                let write = |row: &mut Vec<u8>, heard: &Heard, position| {
                    terms.mean(heard).then(|| write(row, &heard.message, &format!("{prefix}{position}"), clock))
                };
                // What came is handed over first, whatever has become of the connection since.
                if reader.read(room, into, write) {
                    return Ok(());
                }
                self.events.mark_unchanged();
                if self.look()? {
                    return Ok(());
                }
                tokio::select! {
                    () = self.reader.buffer().came() => {}
                    _ = self.events.changed() => {}
                    // The client says that it is connected before it is.
                    () = sleep(LOOK), if self.lost_at.is_some() => {}
                }
            }
        })
    }

    fn take_dropped(&mut self) -> u64 {
        self.reader.buffer().take_dropped()
    }
}

/// Makes the row of a message; `id` is its id where it has none. Only the server says where an answer goes.
fn write(row: &mut Vec<u8>, came: &Came, id: &str, clock: &Clock) -> Facts {
    let decoded = came.headers.as_ref().map(decode).unwrap_or_default();
    let reply = came.reply.as_ref().map(|reply| reply.as_str()).filter(|reply| is_inbox(reply));
    let reply = reply.map(|reply| (headers::REPLY_TO, reply.as_bytes()));
    let message = Message {
        id: decoded.id.unwrap_or(id),
        topic: came.subject.as_str(),
        key: decoded.key.as_deref(),
        payload: Some(&came.payload),
        headers: decoded.headers().filter(|(name, _)| *name != headers::REPLY_TO).chain(reply),
        timestamp: decoded.timestamp.unwrap_or_else(|| clock.now()),
        attempt: 1,
    };
    row::append(row, &message);
    Facts::default()
}
