//! NATS JetStream on a real server: the conformance suite, and what only it has.

#![cfg(feature = "nats-jetstream")]

mod nats {
    mod conformance;
    mod support;
}
