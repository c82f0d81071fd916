//! What a host answers when it is asked: the admin crate's `Control` over the roles of opened brokers.
//!
//! The same code serves a running host (which hands in what runs as [`Running`]) and a command that opened the brokers itself. Not here: HTTP,
//! and what is printed.

mod asked;
mod brokers;
mod dead_letters;
mod groups;
mod handlers;
mod locks;
mod messages;
mod running;
mod stores;
mod take;
#[cfg(test)]
mod tests;
mod topics;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use longshore_admin::model::{HandlerStatus, MAX_PAGE};
use longshore_admin::{ControlError, Kind, Readiness};
use longshore_core::Clock;

use crate::config::{Config, SubscriptionConfig, TopicConfig, explain};
use crate::opened::{Brokers, OpenError};
use crate::stores::Stores;
use asked::Asked;

pub(crate) use brokers::capabilities;

/// What runs in this host. Looks and switches; waits for nothing.
pub trait Running: Send + Sync {
    /// Every handler with its subscriptions. Guarantee, lag and retries may be left out: they are filled in.
    fn handlers(&self) -> Vec<HandlerStatus>;
    /// Messages of that broker that came to an outcome here since the start: done, given back for a retry, dead or discarded.
    fn consumed(&self, broker: &str) -> u64;
    /// Pauses or resumes the subscriptions of the handler of that name, or the one subscription of that name; says which.
    fn set_paused(&self, name: &str, paused: bool) -> Vec<String>;
}

/// A host that can be asked.
pub struct HostControl {
    file: PathBuf,
    subscriptions: Vec<SubscriptionConfig>,
    /// Topics that are kept in a way of their own.
    topics: Vec<TopicConfig>,
    /// Brokers, and topics that are published to on them.
    published: Vec<(String, String)>,
    /// What is promised, by subscription.
    guarantees: HashMap<String, String>,
    brokers: Vec<Asked>,
    running: Option<Arc<dyn Running>>,
    readiness: Readiness,
    stores: Stores,
    clock: Clock,
    started_at: u64,
}

impl HostControl {
    /// Over the opened brokers of a configuration.
    pub fn new(config: &Config, brokers: Brokers) -> Self {
        let clock = Clock::system();
        HostControl {
            file: config.place(),
            subscriptions: config.subscriptions().cloned().collect(),
            topics: config.topics.clone(),
            published: config
                .brokers
                .keys()
                .flat_map(|on| config.published_on(on).into_iter().map(|(_, topic)| (on.clone(), topic)))
                .collect(),
            guarantees: explain(config).into_iter().map(|e| (e.subscription, e.guarantee.promise.to_string())).collect(),
            brokers: brokers.into_values().map(Asked::opened).collect(),
            running: None,
            readiness: Readiness::new(),
            stores: Stores::new(),
            started_at: clock.now(),
            clock,
        }
    }

    /// With the opened stores of the configuration.
    pub fn with_stores(self, stores: Stores) -> Self {
        HostControl { stores, ..self }
    }

    /// In a host that runs.
    pub fn with_running(self, running: Arc<dyn Running>, readiness: Readiness) -> Self {
        HostControl { running: Some(running), readiness, ..self }
    }

    /// Besides brokers that could not be opened: asking them for anything answers why.
    pub fn with_failed(mut self, config: &Config, failed: Vec<OpenError>) -> Self {
        let of = |error: OpenError| Some(Asked::failed(config.brokers.get(&error.name)?.clone(), error.error));
        self.brokers.extend(failed.into_iter().filter_map(of));
        self.brokers.sort_by(|a, b| a.config.name.cmp(&b.config.name));
        self
    }

    /// The broker of that name, `default` where none is given.
    fn broker(&self, name: Option<&str>) -> Result<&Asked, ControlError> {
        let name = name.unwrap_or("default");
        self.brokers.iter().find(|b| b.config.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.brokers.iter().map(|b| b.config.name.as_str()).collect();
            ControlError::not_found(format!("there is no broker {name:?}; the configuration has {}", names.join(", ")))
        })
    }
}

/// How many messages an answer may have: what was asked for, within bounds.
fn page(limit: Option<usize>, default: usize) -> Result<usize, ControlError> {
    match limit.unwrap_or(default) {
        0 => Err(ControlError::invalid("`limit` is 0: it must be at least 1")),
        limit if limit > MAX_PAGE => Err(ControlError::new(Kind::TooLarge, format!("`limit` is {limit}: it must be at most {MAX_PAGE}"))),
        limit => Ok(limit),
    }
}
