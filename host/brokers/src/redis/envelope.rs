//! A message as an element of a list: a mark, its number in the queue, and names and values of its fields as netstrings
//! (<https://cr.yp.to/proto/netstrings.txt>): `longshore/1 3614001234567168 7:payload,5:hello,3:key,2:k1,`. The number is the server's to
//! write. An element without the mark is somebody else's, and all of it is payload.

use longshore_core::row::Row;

use crate::redis::entry::{Entry, Fields};

/// What an element of ours begins with.
const MARK: &[u8] = b"longshore/1 ";
/// Digits of a length, as many as any payload needs.
const DIGITS: usize = 10;

/// The fields of a message; `now` is its time if it has none.
pub(super) fn body(row: Row<'_>, now: u64) -> Vec<u8> {
    let mut body = Vec::with_capacity(row.size() + 64);
    Fields(row).each(|name, value| field(&mut body, name, value));
    if row.message().timestamp == 0 {
        field(&mut body, b"timestamp", now.to_string().as_bytes());
    }
    body
}

fn field(body: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, value] {
        body.extend_from_slice(part.len().to_string().as_bytes());
        body.push(b':');
        body.extend_from_slice(part);
        body.push(b',');
    }
}

/// What an element says. One that is ours and damaged, or somebody else's, has no payload field.
pub(super) fn read(element: &[u8]) -> Option<Entry<'_>> {
    let rest = element.strip_prefix(MARK)?;
    let space = rest.iter().position(|byte| *byte == b' ')?;
    Some(Entry::of(Parts { rest: &rest[space + 1..] }))
}

/// Names and values, up to the first that cannot be read.
struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Parts<'a> {
    type Item = Option<(&'a [u8], &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let part = netstring(self.rest).and_then(|(name, rest)| netstring(rest).map(|(value, rest)| (name, value, rest)));
        self.rest = part.map_or(&[], |(.., rest)| rest);
        Some(part.map(|(name, value, _)| (name, value)))
    }
}

fn netstring(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = text.iter().take(DIGITS + 1).position(|byte| *byte == b':')?;
    let length: usize = std::str::from_utf8(&text[..colon]).ok()?.parse().ok()?;
    let (value, rest) = text[colon + 1..].split_at_checked(length)?;
    Some((value, rest.strip_prefix(b",")?))
}

#[cfg(test)]
mod tests {
    use longshore_core::Message;
    use longshore_core::row;

    use super::*;

    fn element(timestamp: u64) -> Vec<u8> {
        let headers = [("b", &b"\0\xff,"[..]), ("payload", b"")];
        let payload = Some(&b"7:payload,\xff"[..]);
        let message =
            Message { id: "i", topic: "t", key: Some(&b""[..]), payload, headers: headers.iter().copied(), timestamp, attempt: 1 };
        let mut rows = Vec::new();
        row::append(&mut rows, &message);
        [b"longshore/1 17 ".to_vec(), body(Row::at(&rows, 0).expect("a row"), 99)].concat()
    }

    #[test]
    fn an_element_is_read_as_it_was_written() {
        for (given, expected) in [(7, 7), (0, 99)] {
            let element = element(given);
            let entry = read(&element).expect("ours");
            assert_eq!((entry.id, entry.key, entry.payload), (Some("i"), Some(&b""[..]), Some(&b"7:payload,\xff"[..])));
            assert_eq!((entry.timestamp, entry.headers), (Some(expected), vec![("b", &b"\0\xff,"[..]), ("payload", b"")]));
        }
    }

    #[test]
    fn a_damaged_element_is_no_message_and_a_foreign_one_is_not_ours() {
        let whole = element(7);
        for end in b"longshore/1 17 ".len()..whole.len() {
            assert_eq!(read(&whole[..end]).and_then(|entry| entry.payload.filter(|_| entry.headers.len() == 2)), None, "cut at {end}");
        }
        for foreign in [&b""[..], b"hello", b"longshore/1", b"longshore/2 1 7:payload,1:x,"] {
            assert_eq!(read(foreign), None);
        }
        for bad in [&b"longshore/1 1 9999999999999999999:a,1:b,"[..], b"longshore/1 1 -1:a,", b"longshore/1 1 1:a,", b"longshore/1 1 x"] {
            assert_eq!(read(bad).expect("ours").payload, None);
        }
    }
}
