//! RabbitMQ on a real server: the conformance suite, and what only it has.

#![cfg(feature = "rabbitmq")]

mod rabbitmq {
    mod conformance;
    mod support;
}
