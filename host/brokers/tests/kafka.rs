//! Apache Kafka on a real server: the conformance suite, and what only it has.

#![cfg(feature = "kafka")]

#[path = "support/work.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod work;

mod kafka {
    mod access;
    mod another;
    mod blocking;
    mod conformance;
    mod losses;
    mod once;
    mod partitions;
    mod redrive;
    mod support;
}
