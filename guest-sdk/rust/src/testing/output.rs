//! What a handler published, as a test looks at it.

use std::time::Duration;

use crate::{
    Outgoing, outgoing,
    packed::{Damaged, HEAD, Head, LENGTHS, Rows, u32_at},
};

/// A message that a handler published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Where it goes.
    pub to: Destination,
    /// What the broker orders and partitions by, if anything.
    pub key: Option<Vec<u8>>,
    /// Its bytes; none is a tombstone.
    pub payload: Option<Vec<u8>>,
    /// Names and values, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Not before this span is over.
    pub delay: Option<Duration>,
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To this topic.
    Topic(String),
    /// To the topic that the configuration names as the handler's `output`.
    Output,
    /// To whoever sent the request.
    Reply,
}

impl Output {
    /// The topic, where it goes to one by name.
    pub fn topic(&self) -> Option<&str> {
        match &self.to {
            Destination::Topic(topic) => Some(topic),
            Destination::Output | Destination::Reply => None,
        }
    }

    /// The payload as text; bytes that are not stand as `\u{FFFD}`.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.payload.as_deref().unwrap_or_default()).into_owned()
    }

    /// The key as text; bytes that are not stand as `\u{FFFD}`. Empty where there is none.
    pub fn key_text(&self) -> String {
        String::from_utf8_lossy(self.key.as_deref().unwrap_or_default()).into_owned()
    }

    /// The value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find_map(|(each, value)| (each == name).then_some(value.as_slice()))
    }

    /// The payload read as JSON.
    ///
    /// # Errors
    /// When it is not JSON, or not of this shape.
    #[cfg(feature = "json")]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.payload.as_deref().unwrap_or_default())
    }
}

impl From<&Outgoing> for Output {
    fn from(outgoing: &Outgoing) -> Self {
        let parts = outgoing.parts();
        Self {
            to: match parts.to {
                outgoing::Destination::Topic(topic) => Destination::Topic(topic.to_owned()),
                outgoing::Destination::Output => Destination::Output,
                outgoing::Destination::Reply => Destination::Reply,
            },
            key: parts.key.map(<[u8]>::to_vec),
            payload: parts.payload.map(<[u8]>::to_vec),
            headers: parts.headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
            delay: parts.delay,
        }
    }
}

/// The outputs of an answer, each with its origin.
///
/// # Panics
/// When they are not what this crate packs, which fails the test.
pub(crate) fn unpack(rows: &[u8]) -> Vec<(u32, Output)> {
    let read = |row: Result<&[u8], Damaged>| row.and_then(read);
    match Rows::new(rows).map(read).collect() {
        Ok(outputs) => outputs,
        Err(damaged) => panic!("{damaged}"),
    }
}

fn read(row: &[u8]) -> Result<(u32, Output), Damaged> {
    let head = Head::read(row)?;
    let mut at = head.values_at(row.len(), 0)?;
    let mut cut = |length: u32| {
        let value = row.get(at..)?.get(..length as usize)?;
        at += value.len();
        Some(value.to_vec())
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| Damaged("text that is none"));
    let short = Damaged("its lengths lead out of it");
    let topic = text(cut(head.topic).ok_or(short)?)?;
    let key = head.key.map(|length| cut(length).ok_or(short)).transpose()?;
    let payload = head.payload.map(|length| cut(length).ok_or(short)).transpose()?;
    let mut headers = Vec::new();
    for index in 0..head.headers as usize {
        let lengths = HEAD + LENGTHS * index;
        let name = u32_at(row, lengths).and_then(&mut cut).ok_or(short)?;
        let value = u32_at(row, lengths + 4).and_then(&mut cut).ok_or(short)?;
        headers.push((text(name)?, value));
    }
    let to = match head.word16 {
        0 => Destination::Topic(topic),
        1 => Destination::Output,
        2 => Destination::Reply,
        _ => return Err(Damaged("an unknown destination")),
    };
    let delay = (head.word8 != 0).then(|| Duration::from_millis(head.word8));
    Ok((head.word4, Output { to, key, payload, headers, delay }))
}
