//! A message as it goes over a channel: as an [element of a list](crate::redis::envelope) is, with the number 0. What has no mark is somebody
//! else's, and all of it is payload.

use longshore_core::Facts;
use longshore_core::row::{self, Row};

use crate::redis::entry::Entry;
use crate::redis::envelope;

/// What an element of ours begins with.
const MARK: &[u8] = b"longshore/1 0 ";

/// The element of a message that has that id; `now` is its time if it has none.
pub(super) fn write(row: Row<'_>, id: &str, now: u64) -> Vec<u8> {
    let mut with_id = Vec::with_capacity(row.size() + id.len());
    row::append_with_id(&mut with_id, row, id);
    let row = Row::at(&with_id, 0).expect("it was just written");
    [MARK, &envelope::body(row, now)].concat()
}

/// What an element says. One that is ours and damaged is no message, and is shown as it stands.
pub(super) fn read(element: &[u8]) -> (Entry<'_>, Facts) {
    let read = envelope::read(element);
    let undecodable = read.as_ref().is_some_and(|entry| entry.payload.is_none());
    let entry = read.filter(|_| !undecodable).unwrap_or_else(|| Entry { payload: Some(element), ..Entry::default() });
    (entry, Facts { undecodable, ..Facts::default() })
}

#[cfg(test)]
mod tests {
    use longshore_core::Message;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_not_ours_is_payload() {
        let headers = [("h", &b"\0v"[..])];
        let mut rows = Vec::new();
        row::append(&mut rows, &Message { id: "", topic: "t", key: Some(b"k"), payload: Some(b"p"), headers, timestamp: 0, attempt: 1 });
        let element = write(Row::at(&rows, 0).expect("a row"), "i-1", 99);
        let (entry, facts) = read(&element);
        assert_eq!((entry.id, entry.key, entry.payload, entry.timestamp), (Some("i-1"), Some(&b"k"[..]), Some(&b"p"[..]), Some(99)));
        assert!(entry.headers == headers && !facts.undecodable);
        let (entry, facts) = read(b"hello");
        assert!(entry.payload == Some(b"hello") && entry.id.is_none() && !facts.undecodable);
        let (entry, facts) = read(&element[..20]);
        assert!(entry.payload == Some(&element[..20]) && facts.undecodable);
    }
}
