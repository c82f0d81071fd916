//! The fault suite: the real binary on real servers under load, disturbed in every way that a broker's user meets. Afterwards every message
//! is accounted for. The scenarios are the same for all brokers; [`vendors`] says how each is started and disturbed.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "the deadline of a process is real time")]

mod accounts;
mod collector;
mod exact;
#[allow(dead_code, reason = "shared with the end to end tests, which use more of it")]
#[path = "../e2e/host.rs"]
mod host;
mod load;
mod losses;
mod once;
mod scenarios;
mod shortage;
mod trimmed;
mod turns;
mod vanishing;
mod vendors;
mod world;
