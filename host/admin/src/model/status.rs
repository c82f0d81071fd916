//! A host at a glance.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BrokerStatus, HandlerStatus, StoreStatus};

/// Which host it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Version of the host.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Absolute path of its configuration file; `null` for a host without one.
    pub config: Option<String>,
}

/// A host as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Version of the host.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Absolute path of its configuration file; `null` for a host without one.
    pub config: Option<String>,
    /// When it started.
    pub started_at: u64,
    /// Whether `/readyz` says yes.
    pub ready: bool,
    /// What readiness waits for.
    pub missing: Vec<String>,
    /// Its brokers, pinged.
    pub brokers: Vec<BrokerStatus>,
    /// Its stores, pinged: those that a handler or job uses.
    pub stores: Vec<StoreStatus>,
    /// Its handlers.
    pub handlers: Vec<HandlerStatus>,
}
