//! `lock`: answers `unsupported` until a store stands behind it.
//!
//! No guard is ever given out, so its methods cannot be reached.

use wasmtime::component::Resource;

use super::Never;
use crate::bindings::lock::{Host, HostGuard};
use crate::bindings::types::Error;
use crate::state::State;

impl Host for State {
    fn acquire(&mut self, name: String, _ttl: u64, _wait: u64) -> Result<Resource<Never>, Error> {
        Err(Error::Unsupported(format!("no store stands behind lock {name:?}: this host has none yet")))
    }

    fn held(&mut self, name: String) -> Result<bool, Error> {
        Err(Error::Unsupported(format!("no store stands behind lock {name:?}: this host has none yet")))
    }
}

impl HostGuard for State {
    fn fence(&mut self, _: Resource<Never>) -> wasmtime::Result<u64> {
        Err(wasmtime::format_err!("no lock was ever given out"))
    }

    fn renew(&mut self, _: Resource<Never>, _ttl: u64) -> Result<(), Error> {
        none()
    }

    fn release(&mut self, _: Resource<Never>) -> Result<(), Error> {
        none()
    }

    fn drop(&mut self, _: Resource<Never>) -> wasmtime::Result<()> {
        Ok(())
    }
}

fn none<T>() -> Result<T, Error> {
    Err(Error::Unsupported("this host has no lock store yet".into()))
}
