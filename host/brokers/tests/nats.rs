//! NATS on a real server, core and JetStream: the conformance suite, and what only they have.

#![cfg(all(feature = "nats", feature = "nats-jetstream"))]

#[path = "support/work.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod work;

mod nats {
    mod access;
    mod conformance;
    mod consumers;
    mod core;
    mod faults;
    mod identities;
    mod losses;
    mod redrive;
    mod stores;
    mod support;
}
