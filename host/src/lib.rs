//! Longshore as a library: a host is a `main.rs` that hands in its broker adapters.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     let mut adapters = longshore::ADAPTERS.to_vec();
//!     // adapters.push(longshore_core::Registration::of::<mine::Adapter>());
//!     longshore::main_with(&adapters)
//! }
//! ```

pub mod app;
mod cli;
pub mod config;
pub mod control;
mod findings;
mod guarded;
mod guarded_locks;
mod inbox;
pub mod opened;
mod patient;
pub mod stores;
pub mod traffic;

use std::process::ExitCode;

use longshore_core::Registration;

/// The adapters that Longshore comes with.
pub use longshore_brokers::ADAPTERS;
/// The kinds of store that Longshore comes with.
pub use longshore_brokers::STORES;

/// The whole program, command line included, for a host with these adapters.
pub fn main_with(adapters: &[Registration]) -> ExitCode {
    cli::main_with(adapters)
}
