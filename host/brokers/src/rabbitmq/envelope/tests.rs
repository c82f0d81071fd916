use longshore_core::row::Row;
use proptest::prelude::*;

use super::*;

fn packed(id: &str, headers: &[(&str, &[u8])], key: Option<&[u8]>) -> BasicProperties {
    let mut rows = Vec::new();
    let headers = headers.iter().copied();
    longshore_core::row::append(&mut rows, &Message { id, topic: "t", key, payload: Some(b"p"), headers, timestamp: 1_234, attempt: 1 });
    pack(&Row::at(&rows, 0).expect("a row").message(), id, "t", 7).expect("a good message")
}

fn seen<'a>(received: &'a Received<'_>) -> Vec<(&'a str, &'a [u8])> {
    received.headers.iter().map(|(name, value)| (*name, value.as_ref())).collect()
}

#[test]
fn the_brokers_orders_are_no_headers_of_a_handler() {
    let mut rows = Vec::new();
    let headers = [("CC", &b"elsewhere"[..])];
    longshore_core::row::append(
        &mut rows,
        &Message { id: "1", topic: "t", key: None, payload: Some(b"p"), headers: headers.into_iter(), timestamp: 1, attempt: 1 },
    );
    let refused = pack(&Row::at(&rows, 0).expect("a row").message(), "1", "t", 7);
    assert!(matches!(refused, Err(PublishError::Invalid(_))), "{refused:?}");
}

#[test]
fn a_copy_carries_what_a_retry_has_to_know() {
    let original = packed("1", &[("b", b"1"), ("a", b"2")], Some(b"k")).with_expiration("10".into()).with_user_id("me".into());
    let copy = pack_again(&original, "t", Retry { place: Place { position: 9, lane: 4 }, attempt: 3, deliveries: 2, first_failed_at: 55 });
    assert!(copy.expiration().is_none() && copy.user_id().is_none(), "they would end it early, or refuse it");
    let received = unpack(&copy, "queue", false);
    assert_eq!((received.id, received.topic, received.attempt, received.place), ("1", "t", 3, Some(Place { position: 9, lane: 4 })));
    assert_eq!((received.facts.deliveries, received.facts.first_failed_at), (3, 55));
    assert_eq!((received.key, received.timestamp), (Some(&b"k"[..]), 1_234));
    assert_eq!(seen(&received), [("b", &b"1"[..]), ("a", b"2")]);
}

#[test]
fn what_others_write_is_read_as_text() {
    let mut table = FieldTable::default();
    table.insert("count".into(), AMQPValue::LongInt(-3));
    table.insert("flag".into(), AMQPValue::Boolean(true));
    table.insert("nested".into(), AMQPValue::FieldTable(FieldTable::default()));
    let properties = BasicProperties::default().with_headers(table).with_reply_to("amq.rabbitmq.reply-to.x".into());
    let received = unpack(&properties, "t", true);
    assert_eq!(seen(&received), [("count", &b"-3"[..]), ("flag", b"true"), (headers::REPLY_TO, b"amq.rabbitmq.reply-to.x")]);
    assert_eq!((received.id, received.facts.deliveries, received.facts.unanswered), ("", 2, 1));
}

proptest! {
    #[test]
    fn headers_come_back_as_they_were(headers in proptest::collection::vec(("[a-d]", proptest::collection::vec(any::<u8>(), 0..4)), 0..9)) {
        let given: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let properties = packed("1", &given, None);
        let received = unpack(&properties, "t", false);
        prop_assert_eq!(seen(&received), given);
    }
}
