//! NATS JetStream on a real server: the conformance suite, and what only it has.

#![cfg(feature = "nats-jetstream")]

#[path = "support/work.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod work;

mod nats {
    mod access;
    mod conformance;
    mod consumers;
    mod faults;
    mod losses;
    mod redrive;
    mod support;
}
