//! What a handler's own tests can see: outcomes, outputs, order, logs, and what the host is asked for.

use std::{num::ParseIntError, time::Duration};

use longshore_sdk::{
    Error, Failure, Message, OrFail, Outgoing, config, delivery, info, log::Level, publish, reply, request, send, testing,
};
use testing::{Destination, Done, Host, Order};

/// Publishes before it says what its payload asks for.
#[longshore_sdk::handler]
fn handle(message: &Message) -> Result<(), Failure> {
    publish(Outgoing::to("seen").key_of(message).payload(message.payload()));
    let soon = Duration::from_millis(50);
    match message.text()? {
        "ok" => Ok(()),
        "retry" => Err(Failure::retry("asked to")),
        "retry-after" => Err(Failure::retry_after(soon, "asked to")),
        "reject" => Err(Failure::reject("asked to")),
        "discard" => Err(Failure::discard("asked to")),
        "snooze" => Err(Failure::snooze(soon)),
        other => Err(Failure::reject(format!("unknown: {other}"))),
    }
}

fn message(key: &str, payload: &str) -> testing::Message {
    testing::Message::new("in").key(key).payload(payload)
}

/// What became of each, in a few letters: the outcome's, in capitals where it published.
fn told(done: &[Done]) -> String {
    let letter = |done: &Done| match (&done.outcome, done.outputs.len()) {
        (Ok(()), 1) => 'D',
        (Err(Failure::Retry(_)), 0) => 'r',
        (Err(Failure::RetryAfter(..)), 0) => 'a',
        (Err(Failure::Reject(_)), 0) => 'x',
        (Err(Failure::Discard(_)), 0) => '-',
        (Err(Failure::Snooze(Duration::ZERO)), 0) => 'w',
        (Err(Failure::Snooze(_)), 0) => 's',
        _ => '?',
    };
    done.iter().map(letter).collect()
}

fn batch(order: Order, messages: &[(&str, &str)]) -> String {
    let messages = messages.iter().map(|(key, payload)| message(key, payload));
    told(&Host::new().run_batch(order, handle, messages))
}

#[test]
fn a_failed_message_has_published_nothing() {
    for (payload, expected) in [("ok", "D"), ("retry", "r"), ("retry-after", "a"), ("reject", "x"), ("discard", "-"), ("snooze", "s")] {
        assert_eq!(batch(Order::None, &[("a", payload)]), expected, "{payload}");
    }
}

#[test]
fn without_order_all_are_handled() {
    assert_eq!(batch(Order::None, &[("a", "retry"), ("a", "ok"), ("b", "snooze"), ("b", "ok")]), "rDsD");
}

#[test]
fn under_key_order_later_messages_of_the_key_wait_for_one_that_comes_again() {
    for (payload, letter) in [("retry", 'r'), ("retry-after", 'a'), ("snooze", 's')] {
        let went = batch(Order::Key, &[("a", "ok"), ("a", payload), ("b", "ok"), ("a", "ok"), ("a", "reject"), ("b", "ok")]);
        assert_eq!(went, format!("D{letter}DwwD"), "{payload}");
    }
}

#[test]
fn under_key_order_one_that_is_given_up_holds_nothing() {
    assert_eq!(batch(Order::Key, &[("a", "reject"), ("a", "discard"), ("a", "ok")]), "x-D");
}

#[test]
fn under_key_order_messages_without_key_stand_alone() {
    let unkeyed = |payload: &str| testing::Message::new("in").payload(payload);
    let done = Host::new().run_batch(Order::Key, handle, [unkeyed("retry"), unkeyed("ok")]);
    assert_eq!(told(&done), "rD");
}

#[test]
fn under_lane_order_the_batch_ends_with_one_that_comes_again() {
    assert_eq!(batch(Order::Lane, &[("a", "ok"), ("a", "reject"), ("b", "retry"), ("c", "ok")]), "Dxr");
    assert_eq!(batch(Order::Lane, &[("a", "discard"), ("b", "snooze"), ("c", "ok")]), "-s");
}

#[test]
fn a_message_without_trouble_keeps_its_outputs_when_its_neighbour_fails() {
    let done = Host::new().run_batch(Order::None, handle, [message("a", "ok"), message("b", "retry"), message("c", "ok")]);
    let keys: Vec<_> = done.iter().map(|done| done.outputs.iter().map(testing::Output::key_text).collect::<Vec<_>>()).collect();
    assert_eq!(keys, [vec!["a".to_owned()], vec![], vec!["c".to_owned()]]);
}

#[test]
fn a_handler_may_return_what_it_publishes() {
    fn one(message: &Message) -> Result<Outgoing, ParseIntError> {
        let number: u32 = message.text().unwrap_or_default().parse()?;
        Ok(Outgoing::output().payload((number + 1).to_string()))
    }
    fn some(message: &Message) -> Option<Outgoing> {
        message.text().ok().map(|text| Outgoing::reply().payload(text))
    }
    fn none(_: &Message) {}

    let done = testing::run(one, message("", "41"));
    assert_eq!((&done.outputs[0].to, done.outputs[0].text().as_str()), (&Destination::Output, "42"));
    assert_eq!(testing::run(one, message("", "x")).outcome, Err(Failure::retry("invalid digit found in string")));
    assert_eq!(testing::run(some, message("", "x")).outputs[0].to, Destination::Reply);
    assert_eq!(testing::run(none, message("", "x")), Done { outcome: Ok(()), outputs: Vec::new() });
}

#[test]
fn what_is_sent_is_out_whatever_becomes_of_the_message() {
    fn handle(message: &Message) -> Result<(), Failure> {
        let id = send(Outgoing::to("audit").payload(message.payload()))?;
        Err(Failure::discard(id))
    }
    let host = Host::new();
    assert_eq!(host.run(handle, message("", "x")).outcome, Err(Failure::discard("1")));
    assert_eq!(host.sent()[0].topic(), Some("audit"));

    let refusing = Host::new().refuse("audit", Error::Unavailable("the broker is away".to_owned()));
    let done = refusing.run(handle, message("", "x"));
    assert_eq!(done.outcome, Err(Failure::retry("unavailable: the broker is away")));
    assert_eq!(refusing.sent(), []);
}

#[test]
fn a_request_gets_the_answers_in_turn() {
    fn handle(message: &Message) -> Result<(), Failure> {
        let answer = request(Outgoing::to("rates").payload(message.payload()), Duration::from_secs(1))?;
        reply(answer.payload());
        Ok(())
    }
    let host = Host::new().answer(testing::Message::new("inbox").payload("1.25"));
    assert_eq!(host.run(handle, message("", "EUR")).outputs[0].text(), "1.25");
    assert_eq!(host.run(handle, message("", "EUR")).outcome, Err(Failure::retry("no answer in time")));
}

#[test]
fn lines_are_logged_with_their_message_and_fields() {
    fn handle(message: &Message) {
        info!("plain");
        let amount = 12;
        longshore_sdk::warn!(amount = amount, bank = "first", "odd: {} of {amount}", message.attempt());
    }
    let host = Host::new();
    host.run_batch(Order::None, handle, [message("", ""), message("", "").attempt(3)]);
    let lines = host.logged();
    assert_eq!((lines.len(), lines[0].origin, lines[0].level, lines[0].message.as_str()), (4, 0, Level::Info, "plain"));
    assert_eq!((lines[3].origin, lines[3].level, lines[3].message.as_str()), (1, Level::Warn, "odd: 3 of 12"));
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(lines[3].fields, [field("amount", "12"), field("bank", "first")]);
}

#[test]
fn configuration_and_facts_come_from_the_host() {
    fn handle(_: &Message) -> Result<(), Failure> {
        let currency = config::get("currency").or_reject("no currency")?;
        let left = delivery::deadline() > std::time::SystemTime::UNIX_EPOCH;
        Err(Failure::discard(format!("{currency} {} {left}", delivery::details().max_attempts)))
    }
    let mut details = delivery::Details::default();
    details.max_attempts = 7;
    let host = Host::new().config("currency", "EUR").details(details);
    assert_eq!(host.run(handle, message("", "")).outcome, Err(Failure::discard("EUR 7 true")));
    assert_eq!(testing::run(handle, message("", "")).outcome, Err(Failure::reject("no currency")));
}

#[test]
fn after_a_panic_in_one_test_the_next_starts_clean() {
    fn handle(message: &Message) {
        publish(Outgoing::output());
        assert!(message.text().is_ok_and(|text| text != "panic"), "asked to");
    }
    let panicked = std::panic::catch_unwind(|| testing::run(handle, message("", "panic")));
    assert!(panicked.is_err());
    assert_eq!(testing::run(handle, message("", "")).outputs.len(), 1);
}

#[test]
#[should_panic(expected = "publish works in a handler only")]
fn publishing_outside_of_a_handler_is_a_mistake_that_says_so() {
    publish(Outgoing::output());
}
