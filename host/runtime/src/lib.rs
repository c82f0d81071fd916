//! Runs WebAssembly components as handlers and jobs. The only crate that names wasmtime.
//!
//! A file becomes a [`Module`] once ([`Runtime::load`]: read, checked, compiled, linked), a module becomes a [`WasmHandler`] (a pool of
//! instances behind `longshore_core::Handler`) or a [`Job`]. Everything that a guest does is bounded, and what it answers is checked
//! before it is believed. Not here: when a message is retried, where outputs go, how a module is replaced while messages flow.

mod answer;
mod batched;
mod bindings;
mod cache_key;
mod caps;
mod compiled;
mod crash;
mod current;
mod engine;
mod guard;
mod guest_log;
mod handler;
mod inbox;
mod instance;
mod job;
mod limits;
mod metadata;
mod module;
mod pool;
mod private;
mod room;
mod runtime;
mod single;
mod source;
mod state;
mod stats;
mod ticker;
mod wasi;
mod worker;

pub use engine::{EngineError, Settings};
pub use handler::{HandlerSettings, Reuse, SetupError, WasmHandler};
pub use inbox::{Inbox, Outlook, inbox};
pub use job::{Job, JobSettings};
pub use module::{LoadError, Module, World};
pub use runtime::Runtime;
pub use source::Digest;
pub use stats::{Snapshot, WAIT_BOUNDS};
