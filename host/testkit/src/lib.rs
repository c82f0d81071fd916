//! What tests are made of: the conformance suites of brokers and stores, a scripted broker, real servers, a proxy that breaks connections, and test guests.

pub mod conformance;
pub mod guests;
pub mod proxy;
pub mod scripted;
pub mod servers;
pub mod stores;
