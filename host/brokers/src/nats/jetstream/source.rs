//! The reading half of a lane: pulls new messages and copies for retries alike, so that neither starves the other.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Message as NatsMessage};
use futures::StreamExt;
use longshore_core::row::{self, Row};
use longshore_core::{Batch, BoxFuture, BrokerError, Facts, Message, Receipt, Room, Source};
use tokio::time::Instant;

use super::acks::{AckSubject, nak};
use super::api;
use super::before::{Before, Next};
use super::keys::OnVanished;
use super::members::Alive;
use super::messages;
use super::pull::{Came, Pull};
use super::retries::{self, Journey};
use super::streams::Broker;
use crate::nats::headers::decode;

/// Longest request for messages, whatever `fetch.max-wait` says: the server keeps one for each lane that waits.
const LONGEST_PULL: Duration = Duration::from_secs(30);

/// Request for what was lent before the lane began: it is there at once, or not yet.
const GATHERING: Duration = Duration::from_millis(300);

/// The part of the room, one in so many, that is asked for retries while new messages may come too.
const COPIES_SHARE: usize = 4;
/// Shortest request.
const SHORTEST_PULL: Duration = Duration::from_millis(10);

/// Where a lane's messages come from.
pub(super) struct Origin {
    pub(super) broker: Arc<Broker>,
    pub(super) stream: String,
    /// When the stream was made: one of the same name that is made later counts from 1 again. See [`Stream::made`](api::Stream::made).
    pub(super) made: String,
    /// The group, or the name that stands for it where there is none.
    pub(super) group: String,
    pub(super) _alive: Arc<Alive>,
}

impl Origin {
    /// The error of a lane whose consumer is gone.
    pub(super) fn vanished(&self, words: &str, policy: OnVanished) -> BrokerError {
        let what = format!("consumer {:?} of stream {:?} is gone: {words}", self.group, self.stream);
        match policy {
            OnVanished::Recreate => BrokerError::reconnect(what),
            OnVanished::Stop => BrokerError::give_up(format!("{what}; `on-vanished` says to stop")),
        }
    }
}

/// What was lent before a lane began: messages, each with the earliest time at which it can have come.
pub(super) type Earlier = Before<(NatsMessage, Instant)>;

/// The two consumers of a lane.
pub(super) struct Pulls {
    pub(super) fresh: Pull,
    pub(super) retried: Pull,
}

/// What is agreed on.
pub(super) struct Terms {
    /// How long a pull may wait at the server.
    pub(super) wait: Duration,
    pub(super) lease: Duration,
    pub(super) on_vanished: OnVanished,
    /// Whether messages must come in their order.
    pub(super) ordered: bool,
}

/// The reading half.
pub(super) struct LaneSource {
    origin: Arc<Origin>,
    fresh: Side,
    retried: Side,
    /// Whose turn it is.
    retried_first: bool,
    terms: Terms,
    /// What comes before everything else.
    before: Option<Earlier>,
    /// [`Link::losses`](crate::nats::link::Link::losses) when the lane began.
    losses: u64,
    /// Nothing is asked for before then.
    rests_until: Instant,
    /// Positions with a copy when the lane began: word that their originals are settled may have been lost with the server.
    copied: HashSet<u64>,
    /// The highest position that was new to the lane.
    newest: u64,
    /// How often a copy was delivered before it was due, by its sequence.
    parked: HashMap<u64, u32>,
    /// The row that is being handed over.
    row: Vec<u8>,
}

/// One consumer and what came of it.
struct Side {
    pull: Pull,
    /// Messages, each with the earliest time at which it can have come.
    here: VecDeque<(NatsMessage, Instant)>,
}

impl Drop for LaneSource {
    /// Gives back what came and was not handed over, so that nobody waits for its lease to end.
    fn drop(&mut self) {
        for side in [&mut self.fresh, &mut self.retried] {
            let Some(mut answers) = side.pull.end() else { continue };
            let (broker, here) = (self.origin.broker.clone(), std::mem::take(&mut side.here));
            self.origin.broker.members.finish(async move {
                let _ = answers.drain().await;
                let mut left = futures::stream::iter(here.into_iter().map(|(message, _)| message)).chain(answers);
                while let Some(message) = left.next().await {
                    if let Some(ack) = AckSubject::of(&message) {
                        let _ = broker.send(ack.subject, "-NAK").await;
                    }
                }
            });
        }
    }
}

/// What is done with a message.
enum Step {
    /// It is in the batch.
    Taken,
    /// It is not for the lane, now or ever.
    Passed,
    /// There is no room for it.
    Full,
}

impl LaneSource {
    pub(super) fn new(origin: Arc<Origin>, pulls: Pulls, copied: HashSet<u64>, before: Option<Earlier>, terms: Terms) -> Self {
        let side = |pull| Side { pull, here: VecDeque::new() };
        let longest = LONGEST_PULL.min(terms.lease / 4);
        let terms = Terms { wait: terms.wait.clamp(SHORTEST_PULL, longest), ..terms };
        let (fresh, retried) = (side(pulls.fresh), side(pulls.retried));
        let (parked, row, losses) = (HashMap::new(), Vec::new(), origin.broker.link.heard.losses());
        LaneSource {
            origin,
            fresh,
            retried,
            retried_first: false,
            terms,
            before,
            losses,
            rests_until: Instant::now(),
            copied,
            newest: 0,
            parked,
            row,
        }
    }
}

impl Source for LaneSource {
    fn fetch<'a>(&'a mut self, room: Room, into: &'a mut Batch) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            self.gather(room.bytes).await?;
            loop {
                self.collect(room).await?;
                self.same_connection()?;
                self.ask_ahead(room).await?;
                if self.hand_over(room, into).await? {
                    return Ok(());
                }
                self.origin.broker.link.check()?;
                self.ask(room).await?;
                let came = tokio::select! {
                    came = self.fresh.pull.came() => self.fresh.keep(came),
                    came = self.retried.pull.came() => self.retried.keep(came),
                };
                if let Some(other) = came {
                    self.other(other).await?;
                }
            }
        })
    }
}

impl Side {
    /// Keeps a message; hands back anything else.
    fn keep(&mut self, came: Came) -> Option<Came> {
        match came {
            Came::Message(message, since) => self.here.push_back((message, since)),
            Came::Over => {}
            other => return Some(other),
        }
        None
    }
}

impl LaneSource {
    /// Asks for messages, unless that is under way. Each consumer has a part of the room, so that together they bring no more; new messages are
    /// the many.
    async fn ask(&mut self, room: Room) -> Result<(), BrokerError> {
        let copies = Room { messages: (room.messages / COPIES_SHARE).max(1), bytes: (room.bytes / COPIES_SHARE).max(1) };
        let new = Room { messages: (room.messages - copies.messages).max(1), bytes: (room.bytes - copies.bytes).max(1) };
        self.fresh.pull.ask(new.messages, new.bytes, self.terms.wait).await?;
        self.retried.pull.ask(copies.messages, copies.bytes, self.terms.wait).await
    }

    /// Asks for more while what is here is handed over, so that the server need not wait for the lane, if more than half of the room is free.
    async fn ask_ahead(&mut self, room: Room) -> Result<(), BrokerError> {
        let here = || self.fresh.here.iter().chain(&self.retried.here);
        let messages = room.messages.saturating_sub(here().count());
        if messages == room.messages || messages <= room.messages / 2 {
            return Ok(());
        }
        let bytes = room.bytes.saturating_sub(here().map(|(message, _)| message.length).sum());
        if bytes <= room.bytes / 2 { Ok(()) } else { self.ask(Room { messages, bytes }).await }
    }

    /// Waits for what was lent before the lane began. Cancel-safe.
    async fn gather(&mut self, bytes: usize) -> Result<(), BrokerError> {
        let mut quiet = false;
        while let Some(before) = &mut self.before {
            tokio::time::sleep_until(self.rests_until).await;
            // A request is heard out: whatever else it brought would be old when the rest is over.
            if let Some(came) = self.fresh.pull.rest_of_request().await {
                match came {
                    Came::Message(message, since) => {
                        if let Some(sequence) = AckSubject::of(&message).map(|ack| ack.stream_sequence) {
                            before.came(sequence, (message, since));
                        }
                    }
                    Came::Over => quiet = true,
                    other => self.other(other).await?,
                }
                continue;
            }
            match before.next(quiet, Instant::now()) {
                Next::Ask(count) => {
                    self.origin.broker.link.check()?;
                    self.fresh.pull.ask(count, bytes, GATHERING).await?;
                }
                Next::Rest(early, until) => {
                    (self.rests_until, quiet) = (until, false);
                    let delay = until.saturating_duration_since(Instant::now());
                    for ack in early.iter().filter_map(|(message, _)| AckSubject::of(message)) {
                        self.origin.broker.send(ack.subject, nak(delay)).await?;
                    }
                }
                Next::Go(first) => {
                    self.fresh.here.extend(first);
                    self.before = None;
                }
            }
        }
        Ok(())
    }

    /// What was on its way over a lost connection comes again later, so where order is kept, nothing may come over the next one before it.
    fn same_connection(&self) -> Result<(), BrokerError> {
        match self.terms.ordered && self.origin.broker.link.heard.losses() != self.losses {
            true => Err(self.anew("the connection was lost")),
            false => Ok(()),
        }
    }

    fn anew(&self, why: &str) -> BrokerError {
        let Origin { stream, group, .. } = &*self.origin;
        BrokerError::reconnect(format!("group {group:?} of stream {stream:?}: {why}, so its order is taken up anew"))
    }

    /// Takes what has come already.
    async fn collect(&mut self, room: Room) -> Result<(), BrokerError> {
        let mut other = None;
        for side in [&mut self.fresh, &mut self.retried] {
            while side.here.len() < room.messages
                && other.is_none()
                && let Some(came) = side.pull.here()
            {
                other = side.keep(came);
            }
        }
        match other {
            Some(other) => self.other(other).await,
            None => Ok(()),
        }
    }

    /// What is no message.
    async fn other(&self, came: Came) -> Result<(), BrokerError> {
        let Origin { broker, stream, group, .. } = &*self.origin;
        match came {
            Came::Message(..) | Came::Over => Ok(()),
            Came::Vanished(words) => Err(self.origin.vanished(&words, self.terms.on_vanished)),
            Came::Refused(words) => Err(BrokerError::reconnect(format!("stream {stream:?} refuses group {group:?}: {words}"))),
            Came::Nobody => {
                let about = |said: api::Said| said.about(format!("consumer {group:?} of stream {stream:?}"));
                let main = api::consumer(&broker.js, stream, group).await.map_err(about)?;
                let copies = api::consumer(&broker.js, retries::STREAM, &retries::consumer(stream, group)).await.map_err(about)?;
                if main.is_none() || copies.is_none() {
                    return Err(self.origin.vanished("it was deleted", self.terms.on_vanished));
                }
                Err(BrokerError::retry(format!("stream {stream:?} does not answer group {group:?} yet")))
            }
        }
    }

    /// Hands over what is here, as far as there is room. Cancel-safe: a message leaves its queue only once it is in the batch.
    async fn hand_over(&mut self, room: Room, into: &mut Batch) -> Result<bool, BrokerError> {
        let (messages, bytes) = (into.len(), into.bytes());
        while into.len() - messages < room.messages {
            let retried = match (self.fresh.here.is_empty(), self.retried.here.is_empty()) {
                (true, true) => break,
                (false, false) => self.retried_first,
                (fresh, _) => fresh,
            };
            // Once something is handed over, nothing is waited for: a dropped fetch has all of it or none.
            if into.len() > messages && self.waits(retried) {
                break;
            }
            let left = (into.len() > messages).then(|| room.bytes.saturating_sub(into.bytes() - bytes));
            let step = if retried { self.hand_over_copy(left, into).await? } else { self.hand_over_new(left, into).await? };
            if matches!(step, Step::Full) {
                break;
            }
            if retried {
                self.retried.here.pop_front()
            } else {
                self.fresh.here.pop_front()
            };
            self.retried_first = !retried;
        }
        Ok(into.len() > messages)
    }

    /// Whether something has to be asked or said before the next message can be handed over.
    fn waits(&self, retried: bool) -> bool {
        let side = if retried { &self.retried } else { &self.fresh };
        let Some((message, _)) = side.here.front() else { return false };
        let not_due = |headers| Journey::read(headers).is_none_or(|journey| journey.not_before > self.origin.broker.clock.now());
        match retried {
            true => message.headers.as_ref().is_none_or(not_due),
            false => AckSubject::of(message).is_some_and(|ack| self.may_have_copy(&ack)),
        }
    }

    async fn hand_over_new(&mut self, left: Option<usize>, into: &mut Batch) -> Result<Step, BrokerError> {
        let Some((message, since)) = self.fresh.here.front() else { return Ok(Step::Full) };
        let Some(ack) = AckSubject::of(message) else { return Ok(Step::Passed) };
        if is_stale(*since, self.terms.lease) {
            return self.passed_late();
        }
        if self.may_have_copy(&ack) && self.has_copy(&ack).await? {
            // It failed, its copy is kept, and the word of that was lost.
            let known = self.copied.contains(&ack.stream_sequence) || ack.stream_sequence <= self.newest;
            self.origin.broker.send(ack.subject, "+ACK").await?;
            // Nobody has told whose key the copy holds, if it was made while the lane began.
            return if self.terms.ordered && !known { Err(self.anew("a retry turned up")) } else { Ok(Step::Passed) };
        }
        let headers = message.headers.as_ref();
        let facts = Facts { deliveries: ack.delivered, unanswered: ack.delivered - 1, ..Facts::default() };
        let topic = message.subject.as_str();
        write(&mut self.row, headers, topic, &message.payload, &ack, &self.origin.made, 1);
        let receipt = Receipt { position: ack.stream_sequence, token: ack.subject.as_bytes() };
        let step = push(&self.row, left, receipt, facts, 1, into);
        if matches!(step, Step::Taken) {
            self.newest = self.newest.max(ack.stream_sequence);
        }
        Ok(step)
    }

    async fn hand_over_copy(&mut self, left: Option<usize>, into: &mut Batch) -> Result<Step, BrokerError> {
        let Some((message, since)) = self.retried.here.front() else { return Ok(Step::Full) };
        let Some(ack) = AckSubject::of(message) else { return Ok(Step::Passed) };
        if is_stale(*since, self.terms.lease) {
            return Ok(Step::Passed);
        }
        let empty = HeaderMap::new();
        let headers = message.headers.as_ref().unwrap_or(&empty);
        let Some(journey) = Journey::read(headers) else {
            tracing::error!(stream = retries::STREAM, sequence = ack.stream_sequence, "a message is no retry, and is left out");
            self.origin.broker.send(ack.subject, "+TERM").await?;
            return Ok(Step::Passed);
        };
        let now = self.origin.broker.clock.now();
        if journey.not_before > now {
            self.origin.broker.send(ack.subject, nak(Duration::from_millis(journey.not_before - now))).await?;
            // It was never due before, so no delivery of it counts.
            self.parked.insert(ack.stream_sequence, ack.delivered);
            return Ok(Step::Passed);
        }
        // How often it was sent back before this lane began is not known: once, as it was not due.
        let unknown = u32::from(journey.not_before > 0 && ack.delivered > 1);
        let parked = self.parked.get(&ack.stream_sequence).copied().unwrap_or(unknown).min(ack.delivered - 1);
        let deliveries = journey.deliveries.saturating_add(ack.delivered - parked);
        let facts = Facts {
            deliveries,
            unanswered: ack.delivered - 1 - parked,
            redrives: journey.redrives,
            first_failed_at: journey.first_failed_at,
            ..Facts::default()
        };
        write(&mut self.row, Some(headers), &journey.topic, &message.payload, &ack, &self.origin.made, journey.attempt);
        let token = format!("{} {deliveries}", ack.subject);
        let receipt = Receipt { position: journey.position_at(&self.origin.made, ack.stream_sequence), token: token.as_bytes() };
        let step = push(&self.row, left, receipt, facts, journey.attempt, into);
        if matches!(step, Step::Taken) {
            self.parked.remove(&ack.stream_sequence);
        }
        Ok(step)
    }

    /// A message came too late to be handed over and comes again. Where order is kept, what follows must not be read before it does.
    fn passed_late(&self) -> Result<Step, BrokerError> {
        if !self.terms.ordered {
            return Ok(Step::Passed);
        }
        Err(self.anew("leases ran out"))
    }

    /// Whether a message may have failed before: it was delivered, to us or before us.
    fn may_have_copy(&self, ack: &AckSubject<'_>) -> bool {
        ack.delivered > 1 || ack.stream_sequence <= self.newest || self.copied.contains(&ack.stream_sequence)
    }

    /// Whether a copy of a message waits.
    async fn has_copy(&self, ack: &AckSubject<'_>) -> Result<bool, BrokerError> {
        let Origin { broker, stream, made, group, .. } = &*self.origin;
        let subject = retries::subject(stream, group, format_args!("{made}.{}", ack.stream_sequence));
        let copy = messages::last(&broker.js, retries::STREAM, &subject).await;
        Ok(copy.map_err(|said| said.about(format!("retries of group {group:?}")))?.is_some())
    }
}

/// Whether a message may have been lent so long ago that it is another's by now: it comes again.
fn is_stale(since: Instant, lease: Duration) -> bool {
    since.elapsed() > lease / 4 * 3
}

/// Makes the row of a message.
fn write(row: &mut Vec<u8>, headers: Option<&HeaderMap>, topic: &str, payload: &[u8], ack: &AckSubject<'_>, made: &str, attempt: u32) {
    row.clear();
    let decoded = headers.map(decode).unwrap_or_default();
    let own;
    let id = match decoded.id {
        Some(id) => id,
        None => {
            own = ack.id(made);
            &own
        }
    };
    let message = Message {
        id,
        topic,
        key: decoded.key.as_deref(),
        payload: Some(payload),
        headers: decoded.headers(),
        timestamp: decoded.timestamp.unwrap_or(ack.stored_at),
        attempt,
    };
    row::append(row, &message);
}

/// Appends a row where there is room for it.
fn push(bytes: &[u8], left: Option<usize>, receipt: Receipt<'_>, facts: Facts, attempt: u32, into: &mut Batch) -> Step {
    let row = Row::at(bytes, 0).expect("it was just written");
    if left.is_some_and(|left| row.size() > left) {
        return Step::Full;
    }
    into.push_row(row, attempt, receipt, facts);
    Step::Taken
}
