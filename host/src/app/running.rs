//! What runs in this process, for whoever asks: handlers with their components, subscriptions with their state and their switch.

use std::path::PathBuf;
use std::sync::Arc;

use longshore_engine::{Gate, Status};
use longshore_runtime::WasmHandler;

/// One handler that runs.
pub struct RunningHandler {
    /// Its name in the configuration.
    pub name: String,
    /// The component's file.
    pub component: PathBuf,
    /// The component's version, where it has one.
    pub version: Option<String>,
    /// SHA-256 of the file, hexadecimal.
    pub digest: String,
    /// Its instances.
    pub instances: WasmHandler,
    /// What it consumes.
    pub subscriptions: Vec<RunningSubscription>,
}

/// One subscription that runs.
pub struct RunningSubscription {
    /// Its name: `handler/topic`.
    pub name: String,
    /// The broker's name.
    pub broker: String,
    /// The group, where there is one.
    pub group: Option<String>,
    /// Topics and patterns, as configured.
    pub topics: Vec<String>,
    /// The handler's name.
    pub handler: String,
    /// What it does.
    pub status: Arc<Status>,
    /// Pauses and resumes it.
    pub gate: Arc<Gate>,
}

/// Everything that runs.
#[derive(Default)]
pub struct Running {
    /// Handlers, by name.
    pub handlers: Vec<RunningHandler>,
    /// Subscriptions that jobs pull from.
    pub pulled: Vec<RunningSubscription>,
}

impl Running {
    /// All subscriptions.
    pub fn subscriptions(&self) -> impl Iterator<Item = &RunningSubscription> {
        self.handlers.iter().flat_map(|h| &h.subscriptions).chain(&self.pulled)
    }
}

impl RunningSubscription {
    /// What became of its messages, for a person.
    pub fn summary(&self) -> String {
        let s = &self.status;
        format!("{} done, {} retries, {} dead letters, {} discarded", s.done(), s.retried(), s.dead(), s.discarded())
    }
}
