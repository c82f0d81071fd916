//! A message as fields: `payload`, `key`, `id`, `timestamp`, and headers as `h.<name>`. Any other field is a header by its own name, so that
//! whoever writes entries by hand needs to know `payload` alone.

use longshore_core::row::Row;
use longshore_core::{Facts, Message};
use redis::{RedisWrite, ToRedisArgs, Value};

/// The field that every message has.
pub(super) const PAYLOAD: &str = "payload";
const KEY: &str = "key";
const ID: &str = "id";
const TIMESTAMP: &str = "timestamp";
/// Prefix of headers.
const HEADER: &str = "h.";

/// Names and values of an entry, flat and in order, as a command takes them.
pub(super) struct Fields<'a>(pub(super) Row<'a>);

impl Fields<'_> {
    /// Tells each field, in order.
    pub(super) fn each(&self, mut field: impl FnMut(&[u8], &[u8])) {
        let message = self.0.message();
        field(PAYLOAD.as_bytes(), message.payload.unwrap_or_default());
        if let Some(key) = message.key {
            field(KEY.as_bytes(), key);
        }
        if !message.id.is_empty() {
            field(ID.as_bytes(), message.id.as_bytes());
        }
        if message.timestamp > 0 {
            field(TIMESTAMP.as_bytes(), message.timestamp.to_string().as_bytes());
        }
        for (name, value) in message.headers {
            field([HEADER, name].concat().as_bytes(), value);
        }
    }
}

impl ToRedisArgs for Fields<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.each(|name, value| {
            out.write_arg(name);
            out.write_arg(value);
        });
    }

    fn num_of_args(&self) -> usize {
        count(self.0) * 2
    }
}

/// How many fields the message of a row has.
pub(super) fn count(row: Row<'_>) -> usize {
    let message = row.message();
    1 + usize::from(message.key.is_some())
        + usize::from(!message.id.is_empty())
        + usize::from(message.timestamp > 0)
        + message.headers.count()
}

/// What an entry's fields say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// `None`: not there, so this is no message of ours or anybody's.
    pub(super) payload: Option<&'a [u8]>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) id: Option<&'a str>,
    pub(super) timestamp: Option<u64>,
    pub(super) headers: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Entry<'a> {
    /// Reads fields, as a server answers them. What cannot be read is as if it were not there; without names that are text, all of it.
    #[cfg(any(test, feature = "redis-streams"))]
    pub(super) fn read(fields: &'a [Value]) -> Self {
        Entry::of(fields.chunks_exact(2).map(|pair| Some((bytes(&pair[0])?, bytes(&pair[1])?))))
    }

    /// The same from names and values; `None` is one that cannot be read.
    pub(super) fn of(fields: impl Iterator<Item = Option<(&'a [u8], &'a [u8])>>) -> Self {
        let mut entry = Entry::default();
        for field in fields {
            let Some((name, value)) = field.and_then(|(name, value)| Some((std::str::from_utf8(name).ok()?, value))) else {
                return Entry::default();
            };
            match name {
                PAYLOAD if entry.payload.is_none() => entry.payload = Some(value),
                KEY if entry.key.is_none() => entry.key = Some(value),
                ID if entry.id.is_none() => entry.id = std::str::from_utf8(value).ok(),
                TIMESTAMP if entry.timestamp.is_none() => entry.timestamp = number(value),
                _ => entry.headers.push((name.strip_prefix(HEADER).unwrap_or(name), value)),
            }
        }
        entry
    }

    /// The message of a topic, with what its entry says or, where it says nothing, `id` and `millis`. Without a payload it has an empty one.
    pub(super) fn message<'m>(
        &'m self,
        topic: &'m str,
        id: &'m str,
        millis: u64,
        attempt: u32,
    ) -> Message<'m, impl Iterator<Item = (&'m str, &'m [u8])> + Clone> {
        Message {
            id: self.id.unwrap_or(id),
            topic,
            key: self.key,
            payload: Some(self.payload.unwrap_or_default()),
            headers: self.headers.iter().copied(),
            timestamp: self.timestamp.unwrap_or(millis),
            attempt,
        }
    }
}

/// The bytes of a string in an answer.
pub(super) fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        Value::Okay => Some(b"OK"),
        _ => None,
    }
}

/// The text of a string in an answer.
pub(super) fn text(value: &Value) -> Option<&str> {
    std::str::from_utf8(bytes(value)?).ok()
}

/// A list in an answer.
pub(super) fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        _ => &[],
    }
}

/// A number in an answer, also one that is written as text.
pub(super) fn int(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        other => number(bytes(other)?),
    }
}

/// A count in an answer; 0 where there is none.
pub(super) fn small(value: &Value) -> u32 {
    int(value).map_or(0, |number| u32::try_from(number).unwrap_or(u32::MAX))
}

/// What a script tells of a message from before: deliveries, unanswered, redrives, first failure.
pub(super) fn facts([deliveries, unanswered, redrives, first_failed_at]: [&Value; 4]) -> Facts {
    Facts {
        deliveries: small(deliveries),
        unanswered: small(unanswered),
        redrives: small(redrives),
        first_failed_at: int(first_failed_at).unwrap_or(0),
        undecodable: false,
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use longshore_core::row;

    use super::*;

    fn strings(texts: &[&[u8]]) -> Vec<Value> {
        texts.iter().map(|text| Value::BulkString(text.to_vec())).collect()
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let headers = [("b", &b"\0\xff"[..]), ("payload", b""), ("b", b"2")];
        let message = Message {
            id: "i",
            topic: "t",
            key: Some(&b""[..]),
            payload: Some(&b"\xff"[..]),
            headers: headers.iter().copied(),
            timestamp: 7,
            attempt: 1,
        };
        let mut rows = Vec::new();
        row::append(&mut rows, &message);
        let row = Row::at(&rows, 0).expect("a row");
        let written = Fields(row).to_redis_args();
        assert_eq!((written.len(), Fields(row).num_of_args()), (14, 14));
        let fields: Vec<Value> = written.into_iter().map(Value::BulkString).collect();
        let entry = Entry::read(&fields);
        let read = entry.message("t", "5-0", 5, 1);
        assert_eq!((read.id, read.key, read.payload, read.timestamp), ("i", Some(&b""[..]), Some(&b"\xff"[..]), 7));
        assert_eq!(read.headers.collect::<Vec<_>>(), headers);
    }

    #[test]
    fn foreign_fields_are_headers_and_missing_ones_come_from_the_id() {
        let fields = strings(&[b"payload", b"x", b"source", b"legacy", b"timestamp", b"soon"]);
        let entry = Entry::read(&fields);
        let read = entry.message("t", "5-0", 5, 1);
        assert_eq!((read.id, read.key, read.payload, read.timestamp), ("5-0", None, Some(&b"x"[..]), 5));
        assert_eq!(read.headers.collect::<Vec<_>>(), [("source", &b"legacy"[..])]);
    }

    #[test]
    fn an_entry_without_payload_is_no_message() {
        assert_eq!(Entry::read(&strings(&[b"data", b"x"])).payload, None);
        assert_eq!(Entry::read(&strings(&[b"\xff", b"x", b"payload", b"x"])).payload, None);
    }
}
