//! Answers what its payload says, and publishes every other payload as it is: to the topic in header `to`, else to the handler's output.

use std::time::Duration;

use longshore_sdk::{Failure, Message, Outgoing, publish, reply};

#[longshore_sdk::handler]
fn handle(message: &Message) -> Result<(), Failure> {
    // What follows the first word tells messages of one kind apart. No word is long: most payloads are none, and benchmarks time this.
    let start = &message.payload()[..message.payload().len().min(64)];
    let word = start.split(|byte| *byte == b' ').next().unwrap_or_default();
    let word = match word.strip_prefix(b"publish-and-") {
        Some(fails) => {
            send_on(message);
            fails
        }
        None => word,
    };
    match word {
        b"fail" => return Err(Failure::retry("asked to")),
        b"reject" => return Err(Failure::reject("asked to")),
        b"discard" => return Err(Failure::discard("asked to")),
        b"snooze" => return Err(Failure::snooze(Duration::from_millis(50))),
        b"panic" => panic!("asked to"),
        b"reply" => {
            reply(message.payload());
            return Ok(());
        }
        word => fail_until(message, word)?,
    }
    send_on(message);
    Ok(())
}

fn send_on(message: &Message) {
    let outgoing = match message.header_text("to") {
        Some(topic) => Outgoing::to(topic),
        None => Outgoing::output(),
    };
    publish(outgoing.key_of(message).payload(message.payload()));
}

/// Fails a message whose first word is `fail-until:N` until its attempt N.
fn fail_until(message: &Message, word: &[u8]) -> Result<(), Failure> {
    let Some(first_good) = word.strip_prefix(b"fail-until:") else { return Ok(()) };
    let first_good: u32 = std::str::from_utf8(first_good)?.parse()?;
    if message.attempt() < first_good {
        return Err(Failure::retry(format!("attempt {} of {first_good}", message.attempt())));
    }
    Ok(())
}
