//! One delivered message, read in place from its packed row: nothing is copied, and a value is cut out only when it is asked for.
//!
//! A row comes from the host, so its lengths are checked once, when the message is made; after that no reader can leave the row.

use std::{borrow::Cow, fmt, str::Utf8Error, time::SystemTime};

use crate::{
    packed::{Damaged, HEAD, Head, LENGTHS, u32_at},
    time::from_epoch,
};

/// One message as it was delivered.
pub struct Message<'a> {
    row: Cow<'a, [u8]>,
    timestamp: u64,
    attempt: u32,
    headers: usize,
    has_key: bool,
    has_payload: bool,
    /// Where the id starts and ends, then where topic, key and payload end; header names and values follow.
    cuts: [usize; 5],
}

impl<'a> Message<'a> {
    /// A message that borrows its row, or owns it. The row is one row, padding included.
    #[inline]
    pub(crate) fn read(row: impl Into<Cow<'a, [u8]>>) -> Result<Self, Damaged> {
        let row = row.into();
        let head = Head::read(&row)?;
        let first = head.values_at(row.len(), u64::from(head.word16))?;
        let id = first + head.word16 as usize;
        let topic = id + head.topic as usize;
        let key = topic + head.key.unwrap_or(0) as usize;
        let payload = key + head.payload.unwrap_or(0) as usize;
        Ok(Self {
            timestamp: head.word8,
            attempt: head.word4,
            headers: head.headers as usize,
            has_key: head.key.is_some(),
            has_payload: head.payload.is_some(),
            cuts: [first, id, topic, key, payload],
            row,
        })
    }

    /// Stable across redeliveries and retries: the idempotency key. Opaque; empty where the broker has none.
    #[inline]
    pub fn id(&self) -> &str {
        text(self.value(0))
    }

    /// The topic that it was published to.
    #[inline]
    pub fn topic(&self) -> &str {
        text(self.value(1))
    }

    /// What the source orders and partitions by, if anything.
    #[inline]
    pub fn key(&self) -> Option<&[u8]> {
        self.has_key.then(|| self.value(2))
    }

    /// The bytes that were published; none for a tombstone.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        self.value(3)
    }

    /// Whether it has no payload at all, which only Kafka knows. No bytes are a payload like any other.
    #[inline]
    pub fn is_tombstone(&self) -> bool {
        !self.has_payload
    }

    /// The payload as text.
    ///
    /// # Errors
    /// When it is not UTF-8.
    #[inline]
    pub fn text(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(self.payload())
    }

    /// The payload read as JSON. Values may borrow from the message.
    ///
    /// # Errors
    /// When it is not JSON, or not of this shape. Trying again will not change that, so
    /// [`or_reject`](crate::OrFail::or_reject) usually follows.
    #[cfg(feature = "json")]
    pub fn json<'m, T: serde::Deserialize<'m>>(&'m self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.payload())
    }

    /// Names and values, as published, in their order; a name may come more than once.
    #[inline]
    pub fn headers(&self) -> Headers<'_> {
        Headers { row: &self.row, left: self.headers, lengths: HEAD, value: self.cuts[4] }
    }

    /// The value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers();
        std::iter::from_fn(|| headers.cut()).find_map(|(each, value)| (each == name.as_bytes()).then_some(value))
    }

    /// The value of the first header of this name, if there is one and it is text.
    pub fn header_text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.header(name)?).ok()
    }

    /// When the source says that it was produced.
    #[inline]
    pub fn timestamp(&self) -> SystemTime {
        from_epoch(self.timestamp)
    }

    /// 1 on the first try. Counted by the host, durable.
    #[inline]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    #[inline(always)]
    fn value(&self, index: usize) -> &[u8] {
        self.row.get(self.cuts[index]..self.cuts[index + 1]).unwrap_or_default()
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        f.debug_struct("Message")
            .field("id", &self.id())
            .field("topic", &self.topic())
            .field("key", &self.key().map(shown))
            .field("payload", &self.has_payload.then(|| shown(self.payload())))
            .field("headers", &self.headers().map(|(name, value)| (name, shown(value))).collect::<Vec<_>>())
            .field("timestamp", &self.timestamp)
            .field("attempt", &self.attempt)
            .finish()
    }
}

/// The headers of a message, one after the other.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    row: &'a [u8],
    left: usize,
    /// Where the next two lengths stand.
    lengths: usize,
    /// Where the next name starts.
    value: usize,
}

impl<'a> Headers<'a> {
    /// The next name and value. Ends early where the lengths lead out of the row, which the host does not let happen.
    #[inline(always)]
    fn cut(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        self.left = self.left.checked_sub(1)?;
        let name_end = self.value.checked_add(u32_at(self.row, self.lengths)? as usize)?;
        let end = name_end.checked_add(u32_at(self.row, self.lengths + 4)? as usize)?;
        let name = self.row.get(self.value..name_end)?;
        let value = self.row.get(name_end..end)?;
        self.lengths += LENGTHS;
        self.value = end;
        Some((name, value))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.cut()?;
        Some((text(name), value))
    }
}

/// The host checks that names are UTF-8; should it ever err, what is readable is shown.
#[inline(always)]
fn text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid()),
    }
}
