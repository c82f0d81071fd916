//! What the server answers, as deliveries.

use longshore_core::{Batch, Facts, Receipt};
use redis::Value;

use crate::redis::entry::{Entry, bytes, facts, int, list, small};
use crate::redis::envelope;

/// A delivery, as the server has to be told of it: its number, and which delivery it is.
pub(super) fn named(receipt: Receipt<'_>) -> (u64, &str) {
    let deliveries = std::str::from_utf8(receipt.token).ok().filter(|text| !text.is_empty());
    (receipt.position, deliveries.unwrap_or("1"))
}

/// Whether nothing is known of a delivery from before.
pub(super) fn is_fresh(receipt: Receipt<'_>) -> bool {
    receipt.token.is_empty()
}

/// Appends messages that come for the first time: numbers and elements in turn.
pub(super) fn fresh(topic: &str, value: &Value, into: &mut Batch) {
    for pair in list(value).chunks_exact(2) {
        if let (Some(number), Some(element)) = (int(&pair[0]), bytes(&pair[1])) {
            push(topic, number, element, (1, "", Facts::default()), into);
        }
    }
}

/// Appends messages that waited: a list of `[number, attempt, deliveries, unanswered, redrives, first failure, element]`.
pub(super) fn waited(topic: &str, value: &Value, into: &mut Batch) {
    for item in list(value) {
        let [number, attempt, deliveries, unanswered, redrives, first_failed_at, element] = list(item) else { continue };
        let (Some(number), Some(element)) = (int(number), bytes(element)) else { continue };
        let facts = facts([deliveries, unanswered, redrives, first_failed_at]);
        push(topic, number, element, (small(attempt).max(1), &facts.deliveries.to_string(), facts), into);
    }
}

/// Appends a page of a list: pairs of position and element, also of elements that are somebody else's.
pub(super) fn page(topic: &str, value: &Value, into: &mut Batch) {
    for item in list(value) {
        let [position, element] = list(item) else { continue };
        if let (Some(position), Some(element)) = (int(position), bytes(element)) {
            push(topic, position, element, (1, "", Facts::default()), into);
        }
    }
}

fn push(topic: &str, number: u64, element: &[u8], (attempt, token, facts): (u32, &str, Facts), into: &mut Batch) {
    let receipt = Receipt { position: number, token: token.as_bytes() };
    let read = envelope::read(element);
    // Somebody else's element is a message as it stands; one of ours without payload is damaged, and shown as it stands.
    let undecodable = read.as_ref().is_some_and(|entry| entry.payload.is_none());
    let entry = read.filter(|_| !undecodable).unwrap_or_else(|| Entry { payload: Some(element), ..Entry::default() });
    into.push(&entry.message(topic, &id(topic, number), 0, attempt), receipt, Facts { undecodable, ..facts });
}

/// The id of a message that was published without one.
pub(super) fn id(topic: &str, number: u64) -> String {
    format!("{topic}/{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn deliveries_are_named_by_number_and_count() {
        let mut batch = Batch::default();
        let element = "longshore/1 17 7:payload,1:x,9:timestamp,1:5,";
        fresh("t", &Value::Array(vec![text("17"), text(element)]), &mut batch);
        let item = ["17", "3", "4", "1", "2", "99", element].map(text).to_vec();
        waited("t", &Value::Array(vec![Value::Array(item)]), &mut batch);
        assert_eq!((named(batch.receipt(0)), named(batch.receipt(1))), ((17, "1"), (17, "4")));
        assert!(is_fresh(batch.receipt(0)) && !is_fresh(batch.receipt(1)));
        let (first, second) = (batch.get(0), batch.get(1));
        assert_eq!((first.id, first.payload, first.timestamp, first.attempt), ("t/17", Some(&b"x"[..]), 5, 1));
        let facts = Facts { deliveries: 4, unanswered: 1, redrives: 2, first_failed_at: 99, undecodable: false };
        assert_eq!((second.attempt, batch.facts(1)), (3, facts));
    }

    #[test]
    fn what_is_damaged_comes_as_it_stands_and_is_no_message() {
        let mut batch = Batch::default();
        fresh("t", &Value::Array(vec![text("17"), text("longshore/1 17 7:payl")]), &mut batch);
        assert!(batch.facts(0).undecodable);
        assert_eq!(batch.get(0).payload, Some(&b"longshore/1 17 7:payl"[..]));
    }
}
