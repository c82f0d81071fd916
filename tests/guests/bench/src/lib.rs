//! Reads the payload and answers that all is well: the least that a handler can do, for benchmarks.

use std::hint::black_box;

use longshore_sdk::{Failure, Message};

#[longshore_sdk::handler]
#[expect(clippy::unnecessary_wraps, reason = "a handler may fail, this one does not")]
fn handle(message: &Message) -> Result<(), Failure> {
    black_box(message.payload());
    Ok(())
}
