//! End to end: the real binary, as a user runs it, over real guests and a real database.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "the deadline of a process is real time")]

mod duplicates;
mod examples;
mod forgetful;
mod guarded;
mod hanging;
mod host;
mod jetstream;
mod jobs;
mod kill;
mod locks;
mod metrics;
mod misconfigured;
mod mistakes;
mod poison;
mod queues;
mod rabbit;
mod redrive;
mod refused;
mod rights;
mod running;
mod shutdown;
mod stores;
mod story;
mod tls;
mod traffic;
