//! One broker that is asked: its roles, or why it has none, told with its name.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use longshore_admin::ControlError;
use longshore_core::{BrokerError, Connection, Consumer, DeadLetters, Groups, Publisher, Roles, Topics};

use crate::config::BrokerConfig;
use crate::opened::Opened;
use crate::patient::Patient;
use crate::traffic::Traffic;

/// A configured broker.
pub(super) struct Asked {
    pub(super) config: BrokerConfig,
    roles: Result<Roles, BrokerError>,
    pub(super) traffic: Arc<Traffic>,
    /// Milliseconds since the Unix epoch.
    pub(super) opened_at: u64,
    /// When it last answered a ping; 0 = never.
    pub(super) last_ping: AtomicU64,
}

impl Asked {
    pub(super) fn opened(opened: Opened) -> Self {
        Asked {
            config: opened.config,
            roles: Ok(opened.roles),
            traffic: opened.traffic,
            opened_at: millis(opened.since),
            last_ping: AtomicU64::new(0),
        }
    }

    pub(super) fn failed(config: BrokerConfig, error: BrokerError) -> Self {
        Asked { config, roles: Err(error), traffic: Arc::new(Traffic::new(0)), opened_at: 0, last_ping: AtomicU64::new(0) }
    }

    /// What went wrong, with the broker's name before it.
    pub(super) fn told(&self, error: impl Into<ControlError>) -> ControlError {
        error.into().at(format_args!("broker {:?}", self.config.name))
    }

    pub(super) fn roles(&self) -> Result<&Roles, ControlError> {
        self.roles.as_ref().map_err(|e| self.told(e.clone()))
    }

    pub(super) fn connection(&self) -> Result<Arc<dyn Connection>, ControlError> {
        Ok(Arc::clone(&self.roles()?.connection))
    }

    pub(super) fn publisher(&self) -> Result<Arc<dyn Publisher>, ControlError> {
        self.role("takes no messages", |roles| roles.publisher.clone())
    }

    /// The publisher for whoever has nobody else that tries again.
    pub(super) fn patient(&self) -> Result<Patient, ControlError> {
        let published = Arc::clone(&self.traffic.published);
        Ok(Patient::new(self.publisher()?, self.config.publish_timeout, self.config.publish_retry.clone(), published))
    }

    pub(super) fn consumer(&self) -> Result<Arc<dyn Consumer>, ControlError> {
        self.role("delivers no messages", |roles| roles.consumer.clone())
    }

    pub(super) fn topics(&self) -> Result<Arc<dyn Topics>, ControlError> {
        self.role("has no topics to look at", |roles| roles.topics.clone())
    }

    pub(super) fn groups(&self) -> Result<Arc<dyn Groups>, ControlError> {
        self.role("has no groups", |roles| roles.groups.clone())
    }

    pub(super) fn dead_letters(&self) -> Result<Arc<dyn DeadLetters>, ControlError> {
        let lacks = match self.config.registration.forgets {
            Some(_) => "keeps no dead letters",
            None => {
                "cannot show dead letters or give them back: `longshore consume <topic>.<group>.dlq --group <name>` takes them, and its page says how to \
                 move them"
            }
        };
        self.role(lacks, |roles| roles.dead_letters.clone())
    }

    fn role<T: ?Sized>(&self, lacks: &str, pick: impl Fn(&Roles) -> Option<Arc<T>>) -> Result<Arc<T>, ControlError> {
        let (name, kind) = (&self.config.name, self.config.registration.name);
        pick(self.roles()?).ok_or_else(|| {
            let help =
                format!("`longshore brokers capabilities {name}` shows what it can do, `longshore brokers capabilities` what others can");
            self.told(ControlError::unsupported(format!("a broker of type {kind:?} {lacks}; {help}")))
        })
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
