//! Messages in Kafka's form. Key, payload and timestamp have a place of their own; the id stands in a header, and so does what a retry
//! carries besides. A header of a message that is named like one of these leaves with a prefix, which is taken off again.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use longshore_core::row::Row;
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};

/// The id, where the publisher gave one.
const ID: &str = "longshore-id";
/// Prefix of what a copy for a retry carries besides.
const JOURNEY: &str = "longshore-retry-";
/// Prefix of a header that is not ours and named as if it were.
const ESCAPE: &str = "longshore-as-";

/// What a copy for a retry knows of its message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Journey {
    /// Where the message was published, and for whom it comes again.
    pub(super) topic: String,
    pub(super) group: String,
    /// The topic's own id, which one that is made anew does not share; 0 where that is not known.
    pub(super) topic_id: u128,
    /// 0: redriven, and not yet handed over.
    pub(super) position: u64,
    pub(super) attempt: u32,
    /// How often it was handed over before this copy.
    pub(super) deliveries: u32,
    pub(super) first_failed_at: u64,
    pub(super) redrives: u32,
    /// Milliseconds since the Unix epoch; 0 = at once.
    pub(super) not_before: u64,
    /// When the message was produced. The record's own time is that of the copy, by which the server counts how long it is kept.
    pub(super) timestamp: u64,
}

/// The headers of a record, sorted out.
#[derive(Default)]
pub(super) struct Sorted<'m> {
    pub(super) id: Option<&'m str>,
    pub(super) journey: Option<Journey>,
    pub(super) list: Vec<(&'m str, &'m [u8])>,
}

/// Reads the headers of a record; `None` where their names are no text, so that nobody can be given them.
pub(super) fn read<'m>(message: &'m BorrowedMessage<'_>) -> Option<Sorted<'m>> {
    let Some(headers) = message.headers() else { return Some(Sorted::default()) };
    // The client takes for granted that names are text.
    let all = catch_unwind(AssertUnwindSafe(|| headers.iter().map(|h| (h.key, h.value.unwrap_or_default())).collect::<Vec<_>>())).ok()?;
    Some(sort(all))
}

fn sort<'m>(all: Vec<(&'m str, &'m [u8])>) -> Sorted<'m> {
    let mut sorted = Sorted::default();
    for (name, value) in all {
        if let Some(what) = name.strip_prefix(JOURNEY) {
            sorted.journey.get_or_insert_default().take(what, value);
        } else if name == ID {
            sorted.id = std::str::from_utf8(value).ok();
        } else {
            sorted.list.push((name.strip_prefix(ESCAPE).unwrap_or(name), value));
        }
    }
    sorted
}

/// The headers of a record: those of the message, its id, and what a copy knows.
pub(super) fn write<'h>(list: impl Iterator<Item = (&'h str, &'h [u8])>, id: &str, journey: Option<&Journey>) -> Option<OwnedHeaders> {
    let mut headers = OwnedHeaders::new();
    let mut any = false;
    for (name, value) in list {
        any = true;
        headers = headers.insert(Header { key: &outside(name), value: Some(value) });
    }
    if !id.is_empty() {
        any = true;
        headers = headers.insert(Header { key: ID, value: Some(id) });
    }
    for (name, value) in journey.map(Journey::facts).into_iter().flatten() {
        any = true;
        headers = headers.insert(Header { key: &name, value: Some(&value) });
    }
    any.then_some(headers)
}

/// The headers of a row as those of a record.
pub(super) fn of_row(row: Row<'_>) -> Option<OwnedHeaders> {
    write(row.headers(), row.id(), None)
}

/// Whether a header can have that name.
pub(super) fn is_name(name: &str) -> bool {
    !name.contains('\0')
}

fn outside(name: &str) -> Cow<'_, str> {
    if name == ID || name.starts_with(JOURNEY) || name.starts_with(ESCAPE) {
        Cow::Owned(format!("{ESCAPE}{name}"))
    } else {
        Cow::Borrowed(name)
    }
}

impl Journey {
    fn facts(&self) -> Vec<(String, String)> {
        let number = |name: &str, value: u64| (format!("{JOURNEY}{name}"), value.to_string());
        vec![
            (format!("{JOURNEY}topic"), self.topic.clone()),
            (format!("{JOURNEY}topic-id"), format!("{:032x}", self.topic_id)),
            (format!("{JOURNEY}group"), self.group.clone()),
            number("position", self.position),
            number("attempt", self.attempt.into()),
            number("deliveries", self.deliveries.into()),
            number("first-failed-at", self.first_failed_at),
            number("redrives", self.redrives.into()),
            number("not-before", self.not_before),
            number("timestamp", self.timestamp),
        ]
    }

    fn take(&mut self, what: &str, value: &[u8]) {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let number = text.parse::<u64>().unwrap_or(0);
        let small = u32::try_from(number).unwrap_or(u32::MAX);
        match what {
            "topic" => self.topic = text.to_owned(),
            "topic-id" => self.topic_id = u128::from_str_radix(text, 16).unwrap_or(0),
            "group" => self.group = text.to_owned(),
            "position" => self.position = number,
            "attempt" => self.attempt = small.max(1),
            "deliveries" => self.deliveries = small,
            "first-failed-at" => self.first_failed_at = number,
            "redrives" => self.redrives = small,
            "not-before" => self.not_before = number,
            "timestamp" => self.timestamp = number,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(headers: Option<OwnedHeaders>) -> Vec<(String, Vec<u8>)> {
        let headers = headers.unwrap_or_default();
        headers.iter().map(|h| (h.key.to_owned(), h.value.unwrap_or_default().to_vec())).collect()
    }

    fn check(list: &[(&str, &[u8])], id: &str, journey: Option<&Journey>) {
        let owned = back(write(list.iter().copied(), id, journey));
        let sorted = sort(owned.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect());
        assert_eq!((sorted.list, sorted.id.unwrap_or_default(), sorted.journey.as_ref()), (list.to_vec(), id, journey));
    }

    #[test]
    fn headers_come_back_as_they_were_written() {
        let journey = Journey {
            topic: "t".into(),
            topic_id: 1 << 100,
            group: "g".into(),
            position: 7,
            attempt: 3,
            deliveries: 4,
            first_failed_at: 55,
            redrives: 1,
            not_before: 99,
            timestamp: 12,
        };
        check(&[("b", b"1"), ("a", b""), ("b", &[0, 255])], "", None);
        check(&[], "an id", Some(&journey));
        assert!(write(std::iter::empty(), "", None).is_none());
    }

    #[test]
    fn a_header_that_is_named_like_ours_is_not_taken_for_ours() {
        check(&[("longshore-id", b"forged"), ("longshore-retry-position", b"9"), ("longshore-as-x", b"1")], "", None);
        check(&[("longshore-id", b"forged")], "mine", None);
    }
}
