//! What a handler answered to publish: packed rows of the guest, checked once in one pass before anything of them is believed.

use crate::row::{self, ALIGN, HEAD, Headers, MAX_LENGTH, Message, Row};

/// Spans and timestamps stay below 2^53, so that every guest language can hold them.
const MAX_NUMBER: u64 = 1 << 53;

/// Where an output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination<'a> {
    /// A topic, by the name that the handler's grants know.
    Topic(&'a str),
    /// The topic that the configuration names as the handler's `output`.
    Output,
    /// To whoever sent the message as a request.
    Reply,
}

/// One output, borrowed from the checked rows.
#[derive(Clone, Copy)]
pub struct Output<'a> {
    row: Row<'a>,
}

impl<'a> Output<'a> {
    /// Index, in the call, of the message that it belongs to.
    pub fn origin(self) -> u32 {
        self.row.attempt()
    }

    /// Milliseconds to wait before delivery; 0 = none.
    pub fn delay(self) -> u64 {
        self.row.timestamp()
    }

    /// Where it goes.
    pub fn destination(self) -> Destination<'a> {
        match self.row.id_length() {
            0 => Destination::Topic(std::str::from_utf8(self.row.topic_after(0)).unwrap_or_default()),
            1 => Destination::Output,
            _ => Destination::Reply,
        }
    }

    /// The key.
    pub fn key(self) -> Option<&'a [u8]> {
        self.row.key_after(0)
    }

    /// The payload; `None` is a tombstone.
    pub fn payload(self) -> Option<&'a [u8]> {
        self.row.payload_after(0)
    }

    /// Names and values of its headers.
    pub fn headers(self) -> Headers<'a> {
        self.row.headers_after(0)
    }

    /// Bytes of its row.
    pub fn size(self) -> usize {
        self.row.size()
    }
}

/// An output to pack, for guests that answer records instead of rows.
#[derive(Debug, Clone, Copy)]
pub struct NewOutput<'a, H> {
    /// Index, in the call, of the message that it belongs to.
    pub origin: u32,
    /// Where it goes.
    pub destination: Destination<'a>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The payload; `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Names and values.
    pub headers: H,
    /// Milliseconds to wait before delivery; 0 = none.
    pub delay: u64,
}

impl<'h, H> NewOutput<'_, H>
where
    H: IntoIterator<Item = (&'h str, &'h [u8])> + Clone,
{
    /// Appends its row. The rows are still to be [checked](Outputs::check).
    pub fn append(self, rows: &mut Vec<u8>) {
        let start = rows.len();
        let (code, topic) = match self.destination {
            Destination::Topic(topic) => (0u32, topic),
            Destination::Output => (1, ""),
            Destination::Reply => (2, ""),
        };
        row::append(
            rows,
            &Message {
                id: "",
                topic,
                key: self.key,
                payload: self.payload,
                headers: self.headers,
                timestamp: self.delay,
                attempt: self.origin,
            },
        );
        rows[start + row::ID_LENGTH_AT..start + row::ID_LENGTH_AT + 4].copy_from_slice(&code.to_le_bytes());
    }
}

/// An answer that cannot be: it counts as a crash, and nothing of it is used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed answer: {0}")]
pub struct Malformed(pub String);

/// Checked outputs of one call.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    rows: Vec<u8>,
    count: usize,
}

impl Outputs {
    /// Believes `rows` or says what is wrong with them. `handled` is how many messages the answer says were handled.
    pub fn check(rows: Vec<u8>, handled: u32) -> Result<Self, Malformed> {
        let (mut at, mut count, mut before) = (0, 0, 0);
        while at < rows.len() {
            let row = check_row(&rows, at).map_err(|what| Malformed(format!("output {count}: {what}")))?;
            let origin = row.attempt();
            if origin >= handled || origin < before {
                return Err(Malformed(format!(
                    "output {count}: origin {origin} is not an index below {handled} that ascends from {before}"
                )));
            }
            before = origin;
            at += row.size();
            count += 1;
        }
        Ok(Outputs { rows, count })
    }

    /// All outputs, by ascending origin.
    pub fn iter(&self) -> impl Iterator<Item = Output<'_>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let row = Row::new_unchecked(&self.rows, at)?;
            at += row.size();
            Some(Output { row })
        })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> usize {
        self.rows.len()
    }
}

fn check_row(rows: &[u8], at: usize) -> Result<Row<'_>, String> {
    let row = Row::new_unchecked(rows, at).ok_or("it does not fit into the list")?;
    if row.size() % ALIGN != 0 || row.size() < HEAD || row.size() > MAX_LENGTH {
        return Err(format!("size {} is not a multiple of {ALIGN} from {HEAD} on", row.size()));
    }
    match row.content_end_with(0) {
        Some(end) if end <= row.size() as u64 => {}
        _ => return Err("its lengths do not add up to its size".into()),
    }
    if row.timestamp() >= MAX_NUMBER {
        return Err(format!("delay {} is not below 2^53", row.timestamp()));
    }
    match (row.id_length(), row.topic_length()) {
        (0, 0) => return Err("destination is a topic without a name".into()),
        (0, _) | (1 | 2, 0) => {}
        (1 | 2, _) => return Err("a topic stands where the destination is none".into()),
        (other, _) => return Err(format!("destination {other} is unknown")),
    }
    std::str::from_utf8(row.topic_after(0)).map_err(|_| "its topic is not UTF-8")?;
    row.headers_after(0)
        .raw_names()
        .try_for_each(|name| std::str::from_utf8(name).map(|_| ()))
        .map_err(|_| "a header name is not UTF-8")?;
    Ok(row)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn output(origin: u32, topic: &str, payload: &[u8]) -> Vec<u8> {
        let mut rows = Vec::new();
        let headers = [("h", &b"v"[..])].into_iter();
        row::append(&mut rows, &Message { id: "", topic, key: None, payload: Some(payload), headers, timestamp: 5, attempt: origin });
        rows
    }

    #[test]
    fn good_outputs_are_read_as_written() {
        let rows = [output(0, "a", b"1"), output(0, "b", b"22"), output(3, "c", b"")].concat();
        let outputs = Outputs::check(rows, 4).expect("good");
        let read: Vec<_> = outputs.iter().map(|o| (o.origin(), o.destination(), o.payload(), o.delay())).collect();
        assert_eq!(
            read,
            [
                (0, Destination::Topic("a"), Some(&b"1"[..]), 5),
                (0, Destination::Topic("b"), Some(&b"22"[..]), 5),
                (3, Destination::Topic("c"), Some(&b""[..]), 5),
            ]
        );
    }

    #[test]
    fn packed_outputs_are_read_as_given() {
        let mut rows = Vec::new();
        for (i, destination) in (0u32..).zip([Destination::Topic("payments"), Destination::Output, Destination::Reply]) {
            let headers = [("h", &b"v"[..])];
            NewOutput { origin: i, destination, key: Some(b"k"), payload: None, headers, delay: 7 }.append(&mut rows);
        }
        let outputs = Outputs::check(rows, 3).expect("good");
        let read: Vec<_> =
            outputs.iter().map(|o| (o.origin(), o.destination(), o.key(), o.payload(), o.delay(), o.headers().count())).collect();
        assert_eq!(
            read,
            [
                (0, Destination::Topic("payments"), Some(&b"k"[..]), None, 7, 1),
                (1, Destination::Output, Some(&b"k"[..]), None, 7, 1),
                (2, Destination::Reply, Some(&b"k"[..]), None, 7, 1),
            ]
        );
    }

    #[test]
    fn origins_outside_the_call_are_refused() {
        assert!(Outputs::check(output(4, "a", b""), 4).is_err());
        assert!(Outputs::check([output(2, "a", b""), output(1, "a", b"")].concat(), 4).is_err());
    }

    proptest! {
        #[test]
        fn damaged_outputs_never_panic(at in 0usize..200, byte: u8, cut in 0usize..200) {
            let mut rows = [output(0, "topic", b"payload"), output(1, "b", b"22")].concat();
            let length = rows.len();
            rows[at % length] = byte;
            rows.truncate(length - cut % length);
            if let Ok(outputs) = Outputs::check(rows, 2) {
                for o in outputs.iter() {
                    let _ = (o.destination(), o.key(), o.payload(), o.headers().count());
                }
            }
        }
    }
}
