//! A message to publish.
//!
//! All of its bytes lie in one buffer, which goes back to be used again once they are packed: a handler that publishes one message for
//! each it gets allocates nothing for them.

use std::{cell::Cell, fmt, ops::Range, time::Duration};

use crate::{Message, packed::Row};

/// A message to publish. Made by [`Outgoing::to`], [`Outgoing::output`] or [`Outgoing::reply`], given to [`publish`](crate::publish)
/// or, to leave at once, to [`send`](crate::send).
///
/// Without a payload it is a tombstone where the broker has such, elsewhere a payload of no bytes.
#[must_use = "it is published by `publish`, by `send`, or by returning it from the handler"]
#[derive(Clone)]
pub struct Outgoing {
    destination: Kind,
    topic: Span,
    key: Option<Span>,
    payload: Option<Span>,
    headers: Vec<(Span, Span)>,
    delay: Option<Duration>,
    bytes: Vec<u8>,
}

/// The numbers are those of the packed rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Topic = 0,
    Output = 1,
    Reply = 2,
}

type Span = Range<usize>;

impl Outgoing {
    /// To this topic, which the configuration must grant.
    pub fn to(topic: impl AsRef<str>) -> Self {
        let mut outgoing = Self::new(Kind::Topic);
        outgoing.topic = outgoing.add(topic.as_ref().as_bytes());
        outgoing
    }

    /// To the topic that the configuration names as this handler's `output`.
    pub fn output() -> Self {
        Self::new(Kind::Output)
    }

    /// To whoever sent the message being handled as a request. [`reply`](crate::reply) is shorter where a payload is all.
    pub fn reply() -> Self {
        Self::new(Kind::Reply)
    }

    fn new(destination: Kind) -> Self {
        Self { destination, topic: 0..0, key: None, payload: None, headers: Vec::new(), delay: None, bytes: SPARE.with(Cell::take) }
    }

    /// What the broker orders and partitions by.
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(self.add(key.as_ref()));
        self
    }

    /// The same key as this message's, or none as it has none.
    pub fn key_of(mut self, message: &Message<'_>) -> Self {
        self.key = message.key().map(|key| self.add(key));
        self
    }

    /// Adds a header. A name may come more than once.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Self {
        let name = self.add(name.as_ref().as_bytes());
        let value = self.add(value.as_ref());
        self.headers.push((name, value));
        self
    }

    /// The bytes to publish.
    pub fn payload(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.payload = Some(self.add(payload.as_ref()));
        self
    }

    /// `value` as JSON, for the payload.
    ///
    /// # Errors
    /// When it cannot be JSON, for instance a map whose keys are not text.
    #[cfg(feature = "json")]
    pub fn json<T: serde::Serialize + ?Sized>(mut self, value: &T) -> Result<Self, serde_json::Error> {
        let start = self.bytes.len();
        serde_json::to_writer(&mut self.bytes, value)?;
        self.payload = Some(start..self.bytes.len());
        Ok(self)
    }

    /// Not before this span is over; milliseconds count. The message fails where the broker cannot.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    fn add(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    fn bytes_of(&self, span: &Span) -> &[u8] {
        self.bytes.get(span.clone()).unwrap_or_default()
    }

    fn text_of(&self, span: &Span) -> &str {
        // Spans of text were text when they were added.
        std::str::from_utf8(self.bytes_of(span)).unwrap_or_default()
    }

    /// Appends it to the outputs of an answer, as one of message `origin`.
    pub(crate) fn pack(mut self, origin: u32, rows: &mut Vec<u8>) {
        let row = Row {
            word4: origin,
            word8: self.delay.map_or(0, crate::time::millis),
            word16: self.destination as u32,
            first: &[],
            topic: self.bytes_of(&self.topic),
            key: self.key.as_ref().map(|key| self.bytes_of(key)),
            payload: self.payload.as_ref().map(|payload| self.bytes_of(payload)),
            headers: self.headers.iter().map(|(name, value)| (self.bytes_of(name), self.bytes_of(value))),
        };
        row.append(rows);
        if self.bytes.capacity() <= SPARE_KEPT {
            self.bytes.clear();
            SPARE.set(self.bytes);
        }
    }
}

/// Where a message goes, with the topic.
#[derive(Debug)]
pub(crate) enum Destination<'a> {
    Topic(&'a str),
    Output,
    Reply,
}

/// What it says, for whoever hands it on in another form.
pub(crate) struct Parts<'a> {
    pub(crate) to: Destination<'a>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) payload: Option<&'a [u8]>,
    pub(crate) headers: Vec<(&'a str, &'a [u8])>,
    pub(crate) delay: Option<Duration>,
}

impl Outgoing {
    pub(crate) fn parts(&self) -> Parts<'_> {
        Parts {
            to: match self.destination {
                Kind::Topic => Destination::Topic(self.text_of(&self.topic)),
                Kind::Output => Destination::Output,
                Kind::Reply => Destination::Reply,
            },
            key: self.key.as_ref().map(|key| self.bytes_of(key)),
            payload: self.payload.as_ref().map(|payload| self.bytes_of(payload)),
            headers: self.headers.iter().map(|(name, value)| (self.text_of(name), self.bytes_of(value))).collect(),
            delay: self.delay,
        }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let parts = self.parts();
        f.debug_struct("Outgoing")
            .field("to", &parts.to)
            .field("key", &parts.key.map(shown))
            .field("payload", &parts.payload.map(shown))
            .field("headers", &parts.headers.iter().map(|(name, value)| (*name, shown(value))).collect::<Vec<_>>())
            .field("delay", &parts.delay)
            .finish()
    }
}

/// A larger buffer is given back: one big message should not be paid for until the instance ends.
const SPARE_KEPT: usize = 64 << 10;

thread_local! {
    /// The buffer of the last message that was packed.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}
