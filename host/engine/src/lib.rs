//! Longshore's delivery semantics, for any broker and any handler.
//!
//! A [`Subscription`] joins a group and runs one task per [`Lane`](longshore_core::Lane). A lane task receives batches, keeps order, calls
//! the handler, decides what becomes of each message, and settles, in that order of files: `lane`, `lane/claims`, `order`, `sizing`, `verdict`, `ledger`,
//! `round`. Decisions are pure functions; only `lane` and `subscription` wait for anything.
//!
//! Not here: what a broker does with a settlement, how a guest is run, and where an inbox keeps what it remembers.

mod backoff;
mod breaker;
mod dead_letter;
mod lane;
mod ledger;
mod metrics;
mod order;
mod outputs;
mod policy;
mod random;
mod round;
mod signal;
mod sizing;
mod status;
mod subscription;
mod text;
mod verdict;

pub use backoff::{Reconnect, retry_delay};
pub use breaker::BreakerState;
pub use metrics::Metrics;
pub use policy::{Dedup, Policy};
pub use status::{Activity, Gate, Status};
pub use subscription::Subscription;
