//! Connecting: the roles over one server, and what they share.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_core::{BrokerError, Connect, Roles};
use tokio::task::JoinSet;

use super::consumer::StreamConsumer;
use super::dead::StreamDeadLetters;
use super::groups::StreamGroups;
use super::keys::Orphans;
use super::losses::Seen;
use super::publisher::StreamPublisher;
use super::topics::StreamTopics;
use super::trim::{self, Trim};
use crate::redis::alarms::Alarms;
use crate::redis::config::Config;
use crate::redis::server::Server;

/// Groups of topics that are remembered for having been joined.
const MAX_JOINED: usize = 100_000;

/// What lanes and roles share.
pub(super) struct Shared {
    pub(super) server: Arc<Server>,
    pub(super) alarms: Arc<Alarms>,
    pub(super) orphans: Arc<Orphans>,
    pub(super) lease: Duration,
    pub(super) seen: Arc<Seen>,
    /// Topic and group of lanes that this process had: one that is missing later was removed.
    joined: Mutex<HashSet<(String, String)>>,
    /// Ends with the roles.
    _tasks: JoinSet<()>,
}

impl Shared {
    pub(super) fn note_joined(&self, topic: &str, group: &str) {
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        if joined.len() < MAX_JOINED && !group.starts_with(super::keys::BROADCAST) {
            joined.insert((topic.to_owned(), group.to_owned()));
        }
    }

    pub(super) fn was_joined(&self, topic: &str, group: &str) -> bool {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner).contains(&(topic.to_owned(), group.to_owned()))
    }
}

pub(super) async fn connect(config: &Config, connect: &Connect) -> Result<Roles, BrokerError> {
    let trims = Trim::all(connect)?;
    let server = Arc::new(Server::open(config, connect).await?);
    let mut tasks = JoinSet::new();
    if !trims.is_empty() {
        tasks.spawn(trim::run(server.clone(), trims));
    }
    let alarms = Arc::new(Alarms::default());
    let shared = Arc::new(Shared {
        server: server.clone(),
        alarms: alarms.clone(),
        orphans: Arc::default(),
        lease: config.lease.get(),
        seen: Arc::default(),
        joined: Mutex::default(),
        _tasks: tasks,
    });
    Ok(Roles {
        connection: server.clone(),
        consumer: Some(Arc::new(StreamConsumer(shared))),
        publisher: Some(Arc::new(StreamPublisher { server: server.clone(), alarms: alarms.clone() })),
        topics: Some(Arc::new(StreamTopics { server: server.clone(), configured: connect.topics.clone() })),
        groups: Some(Arc::new(StreamGroups { server: server.clone(), lease: config.lease.get() })),
        dead_letters: Some(Arc::new(StreamDeadLetters { server, alarms })),
    })
}
