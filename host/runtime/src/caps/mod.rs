//! The capabilities that guests import: one interface of the WIT package, one file.
//!
//! All are always linked, because several toolchains import every interface of a world; what a guest may do is decided by name when it
//! asks. No host function traps for trouble outside the guest.

mod buckets;
pub(crate) mod cache;
pub(crate) mod config;
pub(crate) mod consumer;
pub(crate) mod delivery;
pub(crate) mod key_value;
pub(crate) mod lock;
pub(crate) mod logging;
pub(crate) mod publish;

use longshore_core::PublishError;
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::{self, types};
use crate::state::State;

/// Everything that handlers can import, WASI included.
pub(crate) fn link_handlers(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    bindings::publisher::add_to_linker::<_, HasSelf<State>>(linker, |s| s)?;
    bindings::delivery::add_to_linker::<_, HasSelf<State>>(linker, |s| s)?;
    bindings::cache::add_to_linker::<_, HasSelf<State>>(linker, |s| s)?;
    bindings::key_value::add_to_linker::<_, HasSelf<State>>(linker, |s| s)?;
    bindings::lock::add_to_linker::<_, HasSelf<State>>(linker, |s| s)?;
    bindings::logging::add_to_linker::<_, HasSelf<State>>(linker, |s| s)?;
    bindings::config::add_to_linker::<_, HasSelf<State>>(linker, |s| s)?;
    bindings::types::add_to_linker::<_, HasSelf<State>>(linker, |s| s)
}

/// The same and `consumer`, for jobs.
pub(crate) fn link_jobs(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    link_handlers(linker)?;
    bindings::consumer::add_to_linker::<_, HasSelf<State>>(linker, |s| s)
}

impl types::Host for State {}

impl From<PublishError> for types::Error {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Denied(text) => types::Error::Denied(text),
            PublishError::Unsupported(text) => types::Error::Unsupported(text),
            PublishError::TooLarge(text) => types::Error::TooLarge(text),
            PublishError::Invalid(text) => types::Error::Invalid(text),
            PublishError::Timeout => types::Error::Timeout,
            PublishError::Unavailable(text) => types::Error::Unavailable(text),
        }
    }
}
