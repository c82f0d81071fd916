//! A message to hand to a handler in a test.

use std::time::SystemTime;

use crate::{packed::Row, time::since_epoch};

/// A message to hand to a handler in a test: id `test`, first attempt, nothing in it until it is said.
#[derive(Clone, Debug)]
#[must_use]
pub struct Message {
    id: String,
    topic: String,
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
    timestamp: SystemTime,
    attempt: u32,
}

impl Message {
    /// A message of this topic, with a payload of no bytes.
    pub fn new(topic: impl Into<String>) -> Self {
        Self {
            id: "test".to_owned(),
            topic: topic.into(),
            key: None,
            payload: Some(Vec::new()),
            headers: Vec::new(),
            timestamp: SystemTime::UNIX_EPOCH,
            attempt: 1,
        }
    }

    /// What is the same across redeliveries and retries.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// What the source orders by.
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(key.as_ref().to_vec());
        self
    }

    /// The bytes that were published.
    pub fn payload(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.payload = Some(payload.as_ref().to_vec());
        self
    }

    /// `value` as JSON, for the payload.
    ///
    /// # Panics
    /// When it cannot be JSON, which fails the test.
    #[cfg(feature = "json")]
    pub fn json<T: serde::Serialize + ?Sized>(self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(payload) => self.payload(payload),
            Err(error) => panic!("the test's message cannot be JSON: {error}"),
        }
    }

    /// No payload at all, which only Kafka has.
    pub fn tombstone(mut self) -> Self {
        self.payload = None;
        self
    }

    /// Adds a header. A name may come more than once.
    pub fn header(mut self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// When the source says that it was produced.
    pub fn timestamp(mut self, timestamp: SystemTime) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// Which try this is, from 1.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// As a handler sees it.
    ///
    /// # Panics
    /// Never: what is packed here can be read.
    pub fn read(&self) -> crate::Message<'static> {
        let mut row = Vec::new();
        self.pack(&mut row);
        match crate::Message::read(row) {
            Ok(message) => message,
            Err(damaged) => panic!("{damaged}"),
        }
    }

    pub(crate) fn pack(&self, rows: &mut Vec<u8>) {
        Row {
            word4: self.attempt,
            word8: since_epoch(self.timestamp),
            word16: u32::try_from(self.id.len()).unwrap_or(u32::MAX),
            first: self.id.as_bytes(),
            topic: self.topic.as_bytes(),
            key: self.key.as_deref(),
            payload: self.payload.as_deref(),
            headers: self.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())),
        }
        .append(rows);
    }
}
