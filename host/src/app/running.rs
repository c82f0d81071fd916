//! What runs in this process, for whoever asks: handlers with their components, subscriptions with their state and their switch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use longshore_core::Pattern;
use longshore_engine::{Gate, Status};
use longshore_runtime::WasmHandler;

use crate::config::Component;

/// One handler that runs.
pub struct RunningHandler {
    /// Its name in the configuration.
    pub name: String,
    /// What handles its messages.
    pub component: Component,
    /// The instances of its component, where it is one.
    pub instances: Option<Instances>,
    /// What it consumes.
    pub subscriptions: Vec<RunningSubscription>,
}

/// Instances of one component.
pub struct Instances {
    /// The component's version, where it has one.
    pub version: Option<String>,
    /// SHA-256 of the file, hexadecimal.
    pub digest: String,
    /// The instances.
    pub pool: WasmHandler,
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
    pub topics: Vec<Pattern>,
    /// The handler's name.
    pub handler: String,
    /// What it does.
    pub status: Arc<Status>,
    /// Pauses and resumes it.
    pub gate: Arc<Gate>,
}

/// One job that runs, or ran.
#[derive(Clone)]
pub struct RunningJob {
    /// Its name in the configuration.
    pub name: String,
    /// Whether it ends by itself.
    ends: bool,
    ended: Arc<AtomicBool>,
}

impl RunningJob {
    pub(super) fn new(name: &str, ends: bool) -> Self {
        RunningJob { name: name.to_owned(), ends, ended: Arc::default() }
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Whether it is over for good.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Whether it still does something of which there is an end.
    pub(super) fn is_busy(&self) -> bool {
        self.ends && !self.has_ended()
    }
}

/// Everything that runs.
#[derive(Default)]
pub struct Running {
    /// Handlers, by name.
    pub handlers: Vec<RunningHandler>,
    /// Subscriptions whose messages are copied into the log.
    pub copied: Vec<RunningSubscription>,
    /// Subscriptions that jobs pull from.
    pub pulled: Vec<RunningSubscription>,
    /// Jobs.
    pub jobs: Vec<RunningJob>,
}

impl Running {
    /// All subscriptions.
    pub fn subscriptions(&self) -> impl Iterator<Item = &RunningSubscription> {
        self.handlers.iter().flat_map(|h| &h.subscriptions).chain(&self.copied).chain(&self.pulled)
    }

    /// Messages of a broker that came to an outcome since the start.
    pub fn consumed(&self, broker: &str) -> u64 {
        self.subscriptions().filter(|s| s.broker == broker).map(|s| s.status.ended()).sum()
    }

    /// Those that somebody still handles: not of a job that ended, and not paused.
    pub(super) fn served(&self) -> impl Iterator<Item = &RunningSubscription> {
        let over = |s: &&RunningSubscription| self.jobs.iter().any(|j| j.name == s.handler && j.has_ended());
        self.subscriptions().filter(move |s| !over(s) && !s.gate.is_paused())
    }
}

impl RunningSubscription {
    /// Whether it reads that group on that topic.
    pub(super) fn reads(&self, group: &str, topic: &str) -> bool {
        self.group.as_deref() == Some(group) && self.topics.iter().any(|t| t.matches(topic))
    }

    /// What became of its messages, for a person.
    pub fn summary(&self) -> String {
        let s = &self.status;
        let told = format!("{} done, {} retries, {} dead letters, {} discarded", s.done(), s.retried(), s.dead(), s.discarded());
        if s.duplicates() == 0 { told } else { format!("{told}, {} duplicates", s.duplicates()) }
    }
}
