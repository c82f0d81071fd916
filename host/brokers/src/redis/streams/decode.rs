//! What the server answers, as deliveries.

use longshore_core::{Batch, Facts, Receipt};
use redis::Value;

use crate::redis::entry::{Entry, facts, list, small, text};
use crate::redis::position::EntryId;

/// What a receipt's token begins with that names an entry whose id is not its position.
const ENTRY: u8 = b'e';
/// What a receipt's token begins with that names a retry: its id and its delivery.
const RETRY: u8 = b'r';

/// A delivery, as the server has to be told of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// An entry in the pending list.
    Entry(EntryId),
    /// A kept message, by its id, and which delivery of it.
    Retry(String, String),
}

/// Reads a receipt.
pub(super) fn named(receipt: Receipt<'_>) -> Option<Named> {
    let (kind, rest) = match receipt.token.split_first() {
        None => return Some(Named::Entry(EntryId::at(receipt.position))),
        Some((kind, rest)) => (*kind, std::str::from_utf8(rest).ok()?),
    };
    match kind {
        ENTRY => EntryId::parse(rest).map(Named::Entry),
        RETRY => rest.rsplit_once('/').map(|(id, deliveries)| Named::Retry(id.into(), deliveries.into())),
        _ => None,
    }
}

/// Appends the entries of a list of `[id, fields]`.
pub(super) fn entries(topic: &str, value: &Value, into: &mut Batch) {
    for item in list(value) {
        let [id, fields, ..] = list(item) else { continue };
        entry(topic, id, fields, 1, into);
    }
}

/// Appends entries that were another consumer's: a list of `[id, deliveries, fields]`.
pub(super) fn claimed(topic: &str, value: &Value, into: &mut Batch) {
    for item in list(value) {
        let [id, deliveries, fields] = list(item) else { continue };
        entry(topic, id, fields, small(deliveries), into);
    }
}

/// Appends retries that are due: a list of `[id, place, attempt, deliveries, unanswered, redrives, first failure, fields]`.
pub(super) fn retries(topic: &str, value: &Value, into: &mut Batch) {
    for item in list(value) {
        let [id, place, attempt, deliveries, unanswered, redrives, first_failed_at, fields] = list(item) else { continue };
        let (Some(id), Some(place)) = (text(id), text(place).and_then(EntryId::parse)) else { continue };
        let facts = facts([deliveries, unanswered, redrives, first_failed_at]);
        let token = format!("{}{id}/{}", char::from(RETRY), facts.deliveries);
        let receipt = Receipt { position: place.place(), token: token.as_bytes() };
        push(topic, &place.to_string(), place.millis, fields, (small(attempt).max(1), receipt, facts), into);
    }
}

fn entry(topic: &str, id: &Value, fields: &Value, deliveries: u32, into: &mut Batch) {
    let Some((written, id)) = text(id).and_then(|written| Some((written, EntryId::parse(written)?))) else { return };
    let (position, fits) = id.position();
    let token = if fits { String::new() } else { format!("{}{written}", char::from(ENTRY)) };
    let facts = Facts { deliveries, unanswered: deliveries.saturating_sub(1), ..Facts::default() };
    push(topic, written, id.millis, fields, (1, Receipt { position, token: token.as_bytes() }, facts), into);
}

fn push(topic: &str, id: &str, millis: u64, fields: &Value, (attempt, receipt, facts): (u32, Receipt<'_>, Facts), into: &mut Batch) {
    let entry = Entry::read(list(fields));
    let facts = Facts { undecodable: entry.payload.is_none(), ..facts };
    into.push(&entry.message(topic, id, millis, attempt), receipt, facts);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_names_what_it_came_from() {
        let check = |position, token: &[u8], expected| assert_eq!(named(Receipt { position, token }), expected);
        let id = EntryId { millis: 5, number: 7 };
        check(id.position().0, b"", Some(Named::Entry(id)));
        check(1, b"e5-7", Some(Named::Entry(id)));
        check(1, b"rredriven-3/12", Some(Named::Retry("redriven-3".into(), "12".into())));
        check(1, b"x", None);
        check(1, b"e5", None);
    }
}
