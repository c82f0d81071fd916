//! The dedup inbox: which messages of a subscription were done within a window, and which of them somebody is at.
//!
//! A delivery *claims* its key before its handler is called. Who has the claim remembers the key once the message is done, together with the
//! acknowledgement where the broker keeps the inbox itself, else before it; or releases it. A claim is a lease: that of a host that died
//! ends by itself.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::BoxFuture;
use crate::error::BrokerError;
use crate::row::Row;

/// What two deliveries of one message have in common: 16 bytes of a SHA-256, so that nobody can make two messages that pass for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboxKey(pub [u8; 16]);

impl InboxKey {
    /// As hexadecimal digits, 32 of them.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

/// One call of one delivery in one lane of one process. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claimant(pub [u8; 20]);

impl Claimant {
    /// The one with that number in a lane that is the `lane`-th of a process which drew `process` at random.
    pub fn new(process: u64, lane: u32, number: u64) -> Self {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&process.to_be_bytes());
        bytes[8..12].copy_from_slice(&lane.to_be_bytes());
        bytes[12..].copy_from_slice(&number.to_be_bytes());
        Claimant(bytes)
    }

    /// As hexadecimal digits, 40 of them.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

/// A delivery and the key that it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxClaim {
    /// The key.
    pub key: InboxKey,
    /// Who claims it.
    pub claimant: Claimant,
}

/// What a claim came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// It is the claimant's, until it is remembered or released, or its lease is over.
    Ours,
    /// Such a message was done: this one is a duplicate.
    Done,
    /// Another delivery has the key now.
    Taken,
}

/// What happens to a claim when its round is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxEntry {
    /// The claim.
    pub claim: InboxClaim,
    /// Position of its delivery.
    pub position: u64,
    /// Whether the message is done; else the key is free again.
    pub done: bool,
}

/// The inbox of one subscription. Errors are those of a store that cannot be asked now: `Retry`, or `GiveUp` where only a human mends it.
pub trait Inbox: Send + Sync {
    /// Claims keys in that order, in one round trip where it can, and answers for each.
    fn claim<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<Vec<Claimed>, BrokerError>>;

    /// Extends claims by one more lease, as far as they are still the claimant's, and answers for each whether it is.
    fn extend<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<Vec<bool>, BrokerError>>;

    /// Remembers the keys of messages that are done, for the window and whoever has them now. Never called where
    /// [`Acks::settle`](crate::Acks::settle) does it.
    fn remember<'a>(&'a self, keys: &'a [InboxKey]) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Gives back claims, as far as they are still the claimant's.
    fn release<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<(), BrokerError>>;
}

/// What tells a message from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DedupKey {
    /// Its id.
    Id,
    /// All of its payload.
    Payload,
    /// The first value of a header.
    Header(String),
    /// A field of a JSON payload: a pointer as in RFC 6901.
    Json(String),
}

/// What a subscription asks of an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DedupTimes {
    /// For how long a message is remembered once it is done.
    pub window: Duration,
    /// For how long a claim stands whose host says nothing more.
    pub lease: Duration,
}

impl DedupKey {
    /// The key of a message, which no message of another topic has; none where it has not what is asked for: no such header, no such field, or no
    /// JSON, or nothing in it.
    pub fn of(&self, row: Row<'_>) -> Option<InboxKey> {
        let (kind, value): (&[u8], Cow<'_, [u8]>) = match self {
            DedupKey::Id => (b"i", row.id().as_bytes().into()),
            DedupKey::Payload => (b"p", row.payload()?.into()),
            DedupKey::Header(name) => (b"h", row.header(name)?.into()),
            DedupKey::Json(pointer) => {
                let payload: Json = serde_json::from_slice(row.payload()?).ok()?;
                let field = payload.pointer(pointer).filter(|field| !field.is_null() && field.as_str() != Some(""))?;
                (b"j", serde_json::to_vec(field).ok()?.into())
            }
        };
        if value.is_empty() && *self != DedupKey::Payload {
            return None;
        }
        let mut hash = Sha256::new();
        hash.update(kind);
        hash.update((row.topic().len() as u64).to_be_bytes());
        hash.update(row.topic());
        hash.update(&value);
        let digest = hash.finalize();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Some(InboxKey(key))
    }
}

/// As in a configuration: `id`, `payload`, `header:<name>`, `json:/<field>`.
impl FromStr for DedupKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "id" => Ok(DedupKey::Id),
            None if text == "payload" => Ok(DedupKey::Payload),
            Some(("header", name)) if !name.is_empty() => Ok(DedupKey::Header(name.into())),
            Some(("json", pointer)) if is_pointer(pointer) => Ok(DedupKey::Json(pointer.into())),
            Some(("json", _)) => {
                Err(format!("{text:?} names no field: it is json:/ and the field's name, json:/order/id for one within another"))
            }
            _ => Err(format!("{text:?} tells no message from others: it is id, payload, header:<name> or json:/<field>")),
        }
    }
}

/// Whether that is a pointer to something within a document: RFC 6901, section 3.
fn is_pointer(text: &str) -> bool {
    let escapes = |part: &str| part.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.starts_with('/') && text.split('/').all(escapes)
}

impl fmt::Display for DedupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DedupKey::Id => f.write_str("id"),
            DedupKey::Payload => f.write_str("payload"),
            DedupKey::Header(name) => write!(f, "header:{name}"),
            DedupKey::Json(pointer) => write!(f, "json:{pointer}"),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes what is written to it");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Message, append};

    fn key(of: &str, id: &str, topic: &str, payload: &[u8], headers: &[(&str, &[u8])]) -> Option<InboxKey> {
        let mut rows = Vec::new();
        let message = Message { id, topic, payload: Some(payload), key: None, headers: headers.iter().copied(), timestamp: 0, attempt: 1 };
        append(&mut rows, &message);
        DedupKey::from_str(of).expect("it is one").of(Row::at(&rows, 0).expect("it was just written"))
    }

    #[test]
    fn equal_is_what_the_subscription_says() {
        let same = |of: &str, a: Option<InboxKey>, b: Option<InboxKey>| {
            assert!(a.is_some() && b.is_some(), "{of}");
            a == b
        };
        assert!(same("id", key("id", "7", "a", b"x", &[]), key("id", "7", "a", b"y", &[])));
        assert!(!same("id", key("id", "7", "a", b"x", &[]), key("id", "7", "b", b"x", &[])));
        assert!(!same("id", key("id", "1", "a1", b"", &[]), key("id", "11", "a", b"", &[])));
        assert!(same("payload", key("payload", "1", "a", b"x", &[]), key("payload", "2", "a", b"x", &[])));
        assert!(!same("payload", key("payload", "1", "a", b"x", &[]), key("payload", "1", "b", b"x", &[])));
        let header = |value: &'static [u8]| key("header:k", "1", "a", b"x", &[("k", value)]);
        assert!(same("header", header(b"1"), header(b"1")) && !same("header", header(b"1"), header(b"2")));
        let json = |payload: &[u8]| key("json:/a/b", "1", "a", payload, &[]);
        assert!(same("json", json(br#"{"a":{"b":1},"c":2}"#), json(br#"{"c":3, "a": {"b": 1}}"#)));
        assert!(!same("json", json(br#"{"a":{"b":1}}"#), json(br#"{"a":{"b":"1"}}"#)));
    }

    #[test]
    fn a_message_without_what_is_asked_for_has_no_key() {
        assert_eq!(key("id", "", "a", b"x", &[]), None);
        assert_eq!(key("header:k", "1", "a", b"x", &[("other", b"1")]), None);
        assert_eq!(key("header:k", "1", "a", b"x", &[("k", b"")]), None);
        for payload in [b"no json".as_slice(), b"{}", br#"{"a":null}"#, br#"{"a":""}"#] {
            assert_eq!(key("json:/a", "1", "a", payload, &[]), None);
        }
    }

    #[test]
    fn it_is_read_and_shown_as_it_is_written() {
        for text in ["id", "payload", "header:order-id", "json:/order/id", "json:/a~1b"] {
            assert_eq!(DedupKey::from_str(text).map(|key| key.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "key", "header:", "json:", "json:id", "json:/a~", "id:x"] {
            assert!(DedupKey::from_str(text).is_err(), "{text}");
        }
    }
}
