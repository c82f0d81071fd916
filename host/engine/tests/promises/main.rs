//! One test a promise, with the promise as its name: the engine on a scripted broker with a paused clock.

mod breaker;
mod crashes;
mod dead_letters;
mod dedup;
mod lanes;
mod order;
mod outputs;
mod parking;
mod reconnect;
mod refusals;
mod settling;
mod status;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use longshore_core::{Call, Crash, Done, Failure, Handler, Outputs};
use longshore_testkit::scripted::{Broker, Event, History, NewMessage, Personality, Random, Settling, closure};

/// A broker of that kind that answers at once.
fn broker(settling: Settling) -> Broker {
    Broker::new("home", Personality::plain(settling), &History::default(), Random::new(1))
}

/// A message with that payload, under a key if it is not empty.
fn message(key: &str, payload: &str) -> NewMessage {
    NewMessage { key: (!key.is_empty()).then(|| key.into()), payload: payload.into(), ..NewMessage::default() }
}

/// Appends so many messages.
fn append(broker: &Broker, count: usize, message: impl Fn(usize) -> NewMessage) {
    for i in 0..count {
        broker.append(&message(i));
    }
}

/// Numbers of a call's messages.
fn numbers(call: &Call) -> Vec<u32> {
    (call.from..call.to).map(|i| call.batch.row(i).id().trim_start_matches("orders/").parse().expect("a number")).collect()
}

/// Every message of the call is done, nothing is published.
fn all_done(call: &Call) -> Result<Done, Crash> {
    answer(call, |_| None)
}

/// Every message is handled; `fails` says by its number how one fails.
fn answer(call: &Call, fails: impl Fn(u32) -> Option<Failure>) -> Result<Done, Crash> {
    let failures = (0u32..).zip(numbers(call)).filter_map(|(i, n)| Some((i, fails(n)?))).collect();
    Ok(Done { handled: u32::try_from(call.len()).expect("few"), failures, outputs: Outputs::default() })
}

fn retry() -> Option<Failure> {
    Some(Failure::Retry("flaky".into()))
}

/// A handler that answers at once, told which time it sees a message, from 1.
fn at_once(decide: impl Fn(&Call, &dyn Fn(u32) -> u32) -> Result<Done, Crash> + Send + Sync + 'static) -> impl Handler {
    let seen: Arc<Mutex<BTreeMap<u32, u32>>> = Arc::default();
    closure(move |call: Call| {
        let mut seen = seen.lock().expect("no panic");
        numbers(&call).into_iter().for_each(|n| *seen.entry(n).or_default() += 1);
        std::future::ready(decide(&call, &|n| seen[&n]))
    })
}

/// Numbers and attempts of the messages that were called, in order.
fn called(broker: &Broker) -> Vec<(u32, u32)> {
    let events = broker.history().events().into_iter();
    events.filter_map(|(_, e)| if let Event::Called { messages, .. } = e { Some(messages) } else { None }).flatten().collect()
}

/// Numbers of the messages that ended, in order.
fn ended(broker: &Broker) -> Vec<u32> {
    let events = broker.history().events().into_iter();
    events.filter_map(|(_, e)| if let Event::Settled { ended, .. } = e { Some(ended) } else { None }).flatten().collect()
}

/// Messages that were sent back to come again: number and attempt.
fn again(broker: &Broker) -> Vec<(u32, u32)> {
    let events = broker.history().events().into_iter();
    let again = events.filter_map(|(_, e)| if let Event::Settled { again, .. } = e { Some(again) } else { None });
    again.flatten().map(|(n, _, attempt)| (n, attempt)).collect()
}
