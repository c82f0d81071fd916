//! Brokers of a configuration, opened: what `run` works with, and what a command works with when no host runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use longshore_core::{BrokerError, Capabilities, Clock, Connect, Fix, Holder, Outlet, OwnKeys, Roles};

use crate::config::{BrokerConfig, Config, KeyPath, Mistake};
use crate::patient::Patient;
use crate::traffic::Traffic;

/// One open broker.
#[derive(Clone)]
pub struct Opened {
    /// What is configured.
    pub config: BrokerConfig,
    /// What it can be used for.
    pub roles: Roles,
    /// When it was opened.
    pub since: SystemTime,
    /// What goes through it.
    pub traffic: Arc<Traffic>,
}

/// All open brokers by name.
pub type Brokers = BTreeMap<String, Opened>;

/// A broker could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("broker {name:?} ({kind}): {error}")]
pub struct OpenError {
    /// Its name in the configuration.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// Why.
    pub error: BrokerError,
}

impl OpenError {
    /// The same as a mistake in the file, where a server refuses what is configured, such as a password. `None`: it may be right another
    /// time, or another process has the broker for itself.
    pub fn as_mistake(&self, config: &Config) -> Option<Mistake> {
        let broker = config.brokers.get(&self.name)?;
        refusal(config, &self.error, ["brokers", &self.name], || (broker.registration.holder)(broker.settings.clone(), &config.folder))
    }
}

/// What a server refuses, as a mistake at `path`. `None`: it may be right another time, or another process holds what was to be opened.
pub(crate) fn refusal(config: &Config, error: &BrokerError, path: [&str; 2], holder: impl FnOnce() -> Option<Holder>) -> Option<Mistake> {
    if error.fix != Fix::GiveUp || holder().is_some() {
        return None;
    }
    Some(config.mistake(&KeyPath::of(path), error.what.clone(), ""))
}

impl Opened {
    /// What it can do.
    pub fn capabilities(&self) -> Capabilities {
        self.config.registration.capabilities
    }

    /// Its publishing side for the lanes of a subscription of its own that has these keys.
    pub fn home(&self, own: &OwnKeys) -> Option<Outlet> {
        let outlet = self.outlet()?;
        Some(Outlet { capabilities: self.config.registration.capabilities_for(own), ..outlet })
    }

    /// Its publishing side for lanes, which try again by themselves; none where it has none.
    pub fn outlet(&self) -> Option<Outlet> {
        Some(self.outlet_of(Patient::bounded(Arc::clone(self.roles.publisher.as_ref()?), self.config.publish_timeout)))
    }

    /// Its publishing side for a guest's `send`, which nobody else tries again.
    pub fn patient_outlet(&self) -> Option<Outlet> {
        Some(self.outlet_of(self.patient()?))
    }

    /// Its publishing side with `publish-timeout` and `publish-retry`.
    pub(crate) fn patient(&self) -> Option<Patient> {
        let publisher = Arc::clone(self.roles.publisher.as_ref()?);
        let published = Arc::clone(&self.traffic.published);
        Some(Patient::new(publisher, self.config.publish_timeout, self.config.publish_retry.clone(), published))
    }

    fn outlet_of(&self, patient: Patient) -> Outlet {
        Outlet {
            broker: self.config.name.clone(),
            publisher: Arc::new(patient),
            capabilities: self.capabilities(),
            max_message_size: self.config.max_message_size,
            published: Arc::clone(&self.traffic.published),
        }
    }
}

/// Opens one broker, once. `admin` is where this process can be asked, for a broker that only one process can hold.
pub async fn open(config: &Config, broker: &BrokerConfig, admin: Option<String>, clock: Clock) -> Result<Opened, OpenError> {
    let fail = |error| OpenError { name: broker.name.clone(), kind: broker.registration.name, error };
    let traffic = Arc::new(Traffic::new(clock.now()));
    let connect =
        Connect { name: broker.name.clone(), folder: config.folder.clone(), clock, admin, topics: config.topics_of(&broker.name) };
    let connecting = (broker.registration.connect)(broker.settings.clone(), connect)
        .map_err(|error| fail(BrokerError::give_up(format!("its configuration does not fit: {error}"))))?;
    let roles = connecting.await.map_err(fail)?;
    Ok(Opened { config: broker.clone(), roles, since: SystemTime::now(), traffic })
}

/// Opens one broker, however long it takes, as long as trying again can help.
pub async fn open_patiently(config: &Config, broker: &BrokerConfig, admin: Option<String>, clock: Clock) -> Result<Opened, OpenError> {
    let mut failures = 0;
    loop {
        match open(config, broker, admin.clone(), clock.clone()).await {
            Err(error) if !error.error.fix.is_human() => {
                failures += 1;
                if broker.reconnect.is_over(failures) {
                    return Err(error);
                }
                let wait = broker.reconnect.delay(failures);
                tracing::warn!(?wait, "{error}; trying again");
                tokio::time::sleep(wait).await;
            }
            outcome => return outcome,
        }
    }
}

/// Closes all, each within `bound`: one that hangs does not hold up the others.
pub async fn close(brokers: &Brokers, bound: Duration) {
    let closing = brokers.values().map(|opened| async move {
        match tokio::time::timeout(bound, opened.roles.connection.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(broker = opened.config.name, "while closing: {error}"),
            Err(_) => tracing::warn!(broker = opened.config.name, "it did not close within {bound:?}"),
        }
    });
    futures::future::join_all(closing).await;
}
