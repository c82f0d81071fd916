//! RabbitMQ on a real server: the conformance suite, and what only it has.

#![cfg(feature = "rabbitmq")]

#[path = "support/work.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod work;

mod rabbitmq {
    mod access;
    mod conformance;
    mod faults;
    mod losses;
    mod queues;
    mod routing;
    mod support;
}
