//! The memory broker: the embedded one's contract without durability, for tests and trying things out.
//!
//! Everything but where rows are kept is shared with the embedded broker (`local`), so that the two cannot drift apart.

mod backend;
mod bus;
mod config;
mod faults;
mod log;
mod retries;
mod store;
mod tables;

use longshore_core::{Adapter, BoxFuture, BrokerError, Capabilities, Connect, NoKeys, Roles};

pub use config::Config;
pub use faults::{Faults, When};
pub use store::{Config as StoreConfig, MemoryStore};
#[cfg(test)]
pub(crate) use tables::MemoryTables;

/// The adapter.
pub struct Memory;

impl Adapter for Memory {
    const NAME: &'static str = "memory";
    const CAPABILITIES: Capabilities = crate::local::CAPABILITIES;
    const IN_PROCESS: bool = true;
    type Config = Config;
    type Subscription = NoKeys;
    type Topic = NoKeys;

    fn check_topic(name: &str) -> Result<(), String> {
        crate::local::check_name(name)
    }

    fn connect(config: Config, connect: Connect) -> BoxFuture<'static, Result<Roles, BrokerError>> {
        Box::pin(async move { bus::connect(config, connect) })
    }
}
