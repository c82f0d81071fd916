//! A host with one more kind of broker: everything that `longshore` is, and `type = "spool"`.
//!
//! Configuration, `check`, `brokers capabilities`, schema and engine work from the list of adapters, so adding to it is all there is to do.

use std::process::ExitCode;

use custom_broker::Spool;
use longshore_core::Registration;

fn main() -> ExitCode {
    let mut adapters = longshore::ADAPTERS.to_vec();
    adapters.push(Registration::of::<Spool>());
    longshore::main_with(&adapters)
}
