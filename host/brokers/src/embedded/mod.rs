//! The embedded broker: one SQLite file, which belongs to one process.
//!
//! * [`open`] finds out whether the file is ours to use; [`lock`] keeps other processes out; [`schema`] is what stands in it.
//! * [`writer`] is the one thread that writes. Whatever waits for it shares a transaction, so the cost of making it durable is shared too.
//! * [`readers`] read logs on threads of their own, so that no asynchronous thread ever waits in SQLite.
//! * [`tables`] and the files under it say in SQL what `local` means; behaviour is all there and shared with the memory broker.
//! * [`store`] keeps buckets in a file of the same make.
//!
//! A hand-over writes nothing. What was in somebody's hands when a process died is counted at the next opening ([`recovery`]).

mod backend;
mod config;
#[cfg(test)]
mod full;
mod lock;
mod open;
mod readers;
mod recovery;
mod schema;
mod store;
mod tables;
mod trouble;
mod writer;

use std::path::Path;

use longshore_core::{Adapter, BoxFuture, BrokerError, Capabilities, Connect, Flag, Holder, NoKeys, Roles};

pub use config::Config;
pub use store::{Config as StoreConfig, EmbeddedStore};

/// The adapter.
pub struct Embedded;

impl Adapter for Embedded {
    const NAME: &'static str = "embedded";
    const CAPABILITIES: Capabilities = crate::local::CAPABILITIES.with(Flag::Durable);
    const IN_PROCESS: bool = true;
    type Config = Config;
    type Subscription = NoKeys;
    type Topic = NoKeys;

    fn check_topic(name: &str) -> Result<(), String> {
        crate::local::check_name(name)
    }

    fn holder(config: &Config, folder: &Path) -> Option<Holder> {
        lock::holder(&folder.join(&config.path))
    }

    fn connect(config: Config, connect: Connect) -> BoxFuture<'static, Result<Roles, BrokerError>> {
        Box::pin(backend::connect(config, connect))
    }
}
