//! Connecting: the roles over one server, and what they share.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{BrokerError, Clock, Connect, Finding, Roles, TopicSettings};

use super::consumer::ListConsumer;
use super::dead::ListDeadLetters;
use super::groups::ListGroups;
use super::publisher::ListPublisher;
use super::topics::ListTopics;
use crate::redis::alarms::Alarms;
use crate::redis::config::Config;
use crate::redis::server::Server;

/// What lanes and roles share.
pub(super) struct Shared {
    pub(super) server: Server,
    pub(super) alarms: Alarms,
    pub(super) clock: Clock,
    pub(super) lease: Duration,
}

pub(super) async fn connect(config: &Config, connect: &Connect) -> Result<Roles, BrokerError> {
    for (topic, settings) in &connect.topics {
        check_settings(topic, settings)?;
    }
    let server = Server::open(config, connect).await?;
    let shared = Arc::new(Shared { server, alarms: Alarms::default(), clock: connect.clock.clone(), lease: config.lease.get() });
    Ok(Roles {
        connection: shared.clone(),
        consumer: Some(Arc::new(ListConsumer(shared.clone()))),
        publisher: Some(Arc::new(ListPublisher(shared.clone()))),
        topics: Some(Arc::new(ListTopics(shared.clone()))),
        groups: Some(Arc::new(ListGroups(shared.clone()))),
        dead_letters: Some(Arc::new(ListDeadLetters(shared))),
    })
}

/// Refuses what no list can keep to.
pub(super) fn check_settings(topic: &str, settings: &TopicSettings) -> Result<(), BrokerError> {
    let TopicSettings { retention, max_size, until_finished, own: _ } = settings;
    if retention.is_some() || max_size.is_some() || *until_finished {
        let what = "a list has each message until it is taken, and no longer: retention, max-size and until-finished mean nothing";
        return Err(BrokerError::give_up(format!("topic {topic:?}: {what}; take them out, or use redis-streams")));
    }
    Ok(())
}

impl longshore_core::Connection for Shared {
    fn ping(&self) -> longshore_core::BoxFuture<'_, Result<(), BrokerError>> {
        self.server.ping()
    }

    fn close(&self) -> longshore_core::BoxFuture<'_, Result<(), BrokerError>> {
        self.server.close()
    }

    fn check_server(&self) -> longshore_core::BoxFuture<'_, Result<Vec<Finding>, BrokerError>> {
        self.server.check_server()
    }
}
