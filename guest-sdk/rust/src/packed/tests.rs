//! Reader and writer against the bytes of `wit/packed-example.hex`, against each other, and against damage.

use std::time::{Duration, SystemTime};

use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::{
    Message, Outgoing,
    testing::{self, Destination, Output, unpack},
};

/// The bytes under `[name]` in the worked example.
fn example(name: &str) -> Vec<u8> {
    let text = include_str!("../../../../wit/packed-example.hex");
    let mut lines = text.lines().skip_while(|line| *line != format!("[{name}]")).skip(1);
    let bytes = lines.by_ref().take_while(|line| !line.starts_with('[')).filter(|line| !line.starts_with('#'));
    bytes.flat_map(str::split_whitespace).map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn messages() -> [testing::Message; 2] {
    let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    let first = testing::Message::new("orders")
        .id("orders/0/7")
        .key("c-17")
        .payload(r#"{"n":1}"#)
        .header("content-type", "application/json")
        .header("trace", [0x00, 0xff])
        .timestamp(at(1_762_000_000_000));
    let second = testing::Message::new("orders").id("orders/0/8").tombstone().timestamp(at(1_762_000_000_001)).attempt(2);
    [first, second]
}

#[test]
fn messages_of_the_worked_example_are_packed_to_its_bytes() {
    let mut rows = Vec::new();
    messages().iter().for_each(|message| message.pack(&mut rows));
    assert_eq!(rows, example("batch"));
}

#[test]
fn messages_of_the_worked_example_are_read() {
    let bytes = example("batch");
    let read: Vec<_> = Rows::new(&bytes).map(|row| Message::read(row.unwrap()).unwrap()).collect();
    let [first, second] = read.as_slice() else { panic!("{read:?}") };

    assert_eq!((first.id(), first.topic(), first.attempt()), ("orders/0/7", "orders", 1));
    assert_eq!((first.key(), first.text(), first.is_tombstone()), (Some(&b"c-17"[..]), Ok(r#"{"n":1}"#), false));
    assert_eq!(first.timestamp(), SystemTime::UNIX_EPOCH + Duration::from_millis(1_762_000_000_000));
    let headers: Vec<_> = first.headers().collect();
    assert_eq!(headers, [("content-type", &b"application/json"[..]), ("trace", &[0x00, 0xff])]);
    assert_eq!(first.header_text("content-type"), Some("application/json"));
    assert_eq!((first.header_text("trace"), first.header("none")), (None, None));

    assert_eq!((second.id(), second.topic(), second.attempt()), ("orders/0/8", "orders", 2));
    assert_eq!((second.key(), second.payload(), second.is_tombstone()), (None, &b""[..], true));
    assert_eq!(second.headers().count(), 0);
}

#[test]
fn outputs_of_the_worked_example_are_packed_to_its_bytes() {
    let mut rows = Vec::new();
    let payment = Outgoing::to("payments").header("currency", "EUR").payload("paid").key("c-17").delay(Duration::from_millis(1500));
    payment.pack(0, &mut rows);
    Outgoing::reply().pack(1, &mut rows);
    assert_eq!(rows, example("outputs"));
}

#[test]
fn outputs_of_the_worked_example_are_read() {
    let payment = Output {
        to: Destination::Topic("payments".to_owned()),
        key: Some(b"c-17".to_vec()),
        payload: Some(b"paid".to_vec()),
        headers: vec![("currency".to_owned(), b"EUR".to_vec())],
        delay: Some(Duration::from_millis(1500)),
    };
    let reply = Output { to: Destination::Reply, key: None, payload: None, headers: Vec::new(), delay: None };
    assert_eq!(unpack(&example("outputs")), [(0, payment), (1, reply)]);
}

type Header = (String, Vec<u8>);

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

fn headers() -> impl Strategy<Value = Vec<Header>> {
    vec((".{0,12}", bytes()), 0..5)
}

prop_compose! {
    fn any_message()(
        id in ".{0,20}",
        topic in ".{0,20}",
        key in option::of(bytes()),
        payload in option::of(bytes()),
        headers in headers(),
        millis in 0..1_u64 << 53,
        attempt in any::<u32>(),
    ) -> (testing::Message, String) {
        let mut message = testing::Message::new(&topic).id(&id).attempt(attempt).timestamp(crate::time::from_epoch(millis));
        if let Some(key) = &key {
            message = message.key(key);
        }
        message = match &payload {
            Some(payload) => message.payload(payload),
            None => message.tombstone(),
        };
        for (name, value) in &headers {
            message = message.header(name, value);
        }
        let said = format!("{:?}", (id, topic, key, payload, headers, millis, attempt));
        (message, said)
    }
}

/// All that a message says, in the form in which `any_message` says it.
fn said(message: &Message<'_>) -> String {
    let payload = (!message.is_tombstone()).then(|| message.payload().to_vec());
    let headers: Vec<_> = message.headers().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
    let millis = crate::time::since_epoch(message.timestamp());
    let key = message.key().map(<[u8]>::to_vec);
    format!("{:?}", (message.id(), message.topic(), key, payload, headers, millis, message.attempt()))
}

prop_compose! {
    fn any_output()(
        to in prop_oneof![
            ".{0,20}".prop_map(Destination::Topic),
            Just(Destination::Output),
            Just(Destination::Reply),
        ],
        key in option::of(bytes()),
        payload in option::of(bytes()),
        headers in headers(),
        delay in option::of(1..1_u64 << 53),
    ) -> Output {
        Output { to, key, payload, headers, delay: delay.map(Duration::from_millis) }
    }
}

fn outgoing(output: &Output) -> Outgoing {
    let mut outgoing = match &output.to {
        Destination::Topic(topic) => Outgoing::to(topic),
        Destination::Output => Outgoing::output(),
        Destination::Reply => Outgoing::reply(),
    };
    if let Some(key) = &output.key {
        outgoing = outgoing.key(key);
    }
    if let Some(payload) = &output.payload {
        outgoing = outgoing.payload(payload);
    }
    for (name, value) in &output.headers {
        outgoing = outgoing.header(name, value);
    }
    match output.delay {
        Some(delay) => outgoing.delay(delay),
        None => outgoing,
    }
}

/// Reads everything that there is to read.
fn read_all(rows: &[u8]) -> usize {
    let messages = Rows::new(rows).flatten().flat_map(Message::read);
    messages.map(|message| said(&message).len() + format!("{message:?}").len()).sum()
}

proptest! {
    #[test]
    fn messages_are_read_as_they_were_packed(messages in vec(any_message(), 1..8)) {
        let mut rows = Vec::new();
        messages.iter().for_each(|(message, _)| message.pack(&mut rows));
        prop_assert!(rows.len().is_multiple_of(ALIGN));
        let read: Vec<_> = Rows::new(&rows).map(|row| said(&Message::read(row.unwrap()).unwrap())).collect();
        let expected: Vec<_> = messages.into_iter().map(|(_, said)| said).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn outputs_are_read_as_they_were_packed(outputs in vec((any::<u32>(), any_output()), 0..8)) {
        let mut rows = Vec::new();
        for (origin, output) in &outputs {
            outgoing(output).pack(*origin, &mut rows);
        }
        prop_assert!(rows.len().is_multiple_of(ALIGN));
        prop_assert_eq!(unpack(&rows), outputs);
    }

    #[test]
    fn a_damaged_row_never_panics_the_reader(
        messages in vec(any_message(), 1..4),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in option::of(any::<prop::sample::Index>()),
    ) {
        let mut rows = Vec::new();
        messages.iter().for_each(|(message, _)| message.pack(&mut rows));
        for (index, byte) in damage {
            let at = index.index(rows.len());
            rows[at] = byte;
        }
        if let Some(cut) = cut {
            rows.truncate(cut.index(rows.len()));
        }
        read_all(&rows);
    }

    #[test]
    fn noise_never_panics_the_reader(words in vec(prop_oneof![0_u32..130, any::<u32>()], 0..60)) {
        let rows: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        read_all(&rows);
    }
}
