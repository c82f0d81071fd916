//! End to end: the real binary, as a user runs it, over real guests and a real database.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod host;
mod kill;
mod mistakes;
mod poison;
mod shutdown;
mod story;
