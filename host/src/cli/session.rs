//! Whom a command asks: the host that runs on this configuration, or brokers that the command opens itself.
//!
//! An embedded broker's file belongs to one process, and its lock names who that is; a host on other brokers is found at the address that the
//! configuration gives it. Either way it must say that it runs on the same file before anything else is asked of it, which it can also
//! while its brokers do not answer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use longshore_admin::model::Host;
use longshore_admin::{Client, Control};
use longshore_core::{Clock, Holder};

use super::App;
use super::failure::Failure;
use crate::config::{BrokerConfig, Config, Mistake, StoreConfig};
use crate::control::HostControl;
use crate::opened::{self, Brokers, OpenError, open};
use crate::stores::{self, OpenedStore, Stores};

/// How long a host may take to say who it is.
const HELLO: Duration = Duration::from_secs(2);
/// How long a broker may take to be opened.
const OPEN: Duration = Duration::from_secs(10);
/// How long a broker may take to close.
const CLOSE: Duration = Duration::from_secs(5);

/// Which brokers a command needs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Need<'a> {
    /// The named one, `default` without a name.
    One(Option<&'a str>),
    /// All; one that cannot be opened says so when it is asked.
    All,
    /// No broker, and the named store, `default` without a name.
    Store(Option<&'a str>),
}

/// Somebody who can be asked.
pub(super) struct Session {
    pub(super) control: Arc<dyn Control>,
    pub(super) config: Config,
    /// Whether a host runs on this configuration.
    pub(super) is_host: bool,
    own: Brokers,
    stores: Stores,
}

impl Session {
    /// Finds the running host, else opens the brokers that are needed.
    pub(super) async fn open(app: &App<'_>, need: Need<'_>) -> Result<Self, Failure> {
        let config = app.config()?;
        match need {
            Need::One(name) => drop(named(&config, name)?),
            Need::Store(name) => drop(store(&config, name)?),
            Need::All => {}
        }
        match find_host(&config, need).await? {
            Some(client) => Ok(Session { control: Arc::new(client), config, is_host: true, own: Brokers::new(), stores: Stores::new() }),
            None => Session::own(config, need).await,
        }
    }

    async fn own(config: Config, need: Need<'_>) -> Result<Self, Failure> {
        let (mut own, mut failed, mut stores) = (Brokers::new(), Vec::new(), Stores::new());
        match need {
            Need::One(name) => {
                let opened =
                    open_one(&config, named(&config, name)?).await.map_err(|error| refused(&config, error.as_mistake(&config), error))?;
                own.insert(opened.config.name.clone(), opened);
            }
            Need::Store(name) => {
                let opened = open_store(&config, &store(&config, name)?).await?;
                stores.insert(opened.config.name.clone(), opened);
            }
            Need::All => {
                for result in futures::future::join_all(config.brokers.values().map(|b| open_one(&config, b))).await {
                    match result {
                        Ok(opened) => drop(own.insert(opened.config.name.clone(), opened)),
                        Err(error) => failed.push(error),
                    }
                }
            }
        }
        let control = HostControl::new(&config, own.clone()).with_stores(stores.clone()).with_failed(&config, failed);
        Ok(Session { control: Arc::new(control), config, is_host: false, own, stores })
    }

    /// Closes what was opened.
    pub(super) async fn close(self) {
        opened::close(&self.own, CLOSE).await;
        stores::close(&self.stores, CLOSE).await;
    }

    /// Does `work` and closes, however that ends.
    pub(super) async fn with<T>(
        app: &App<'_>,
        need: Need<'_>,
        work: impl AsyncFnOnce(&Session) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let session = Session::open(app, need).await?;
        let done = work(&session).await;
        session.close().await;
        done
    }
}

fn named<'a>(config: &'a Config, name: Option<&str>) -> Result<&'a BrokerConfig, Failure> {
    let name = name.unwrap_or("default");
    config.brokers.get(name).ok_or_else(|| {
        let names: Vec<&str> = config.brokers.keys().map(String::as_str).collect();
        Failure::not_found(format!("there is no broker {name:?} in the configuration; it has {}", names.join(", ")))
    })
}

/// A broker or store that does not open: what a server refuses is told where it is configured.
fn refused(config: &Config, mistake: Option<Mistake>, error: impl Into<Failure>) -> Failure {
    match mistake {
        Some(mistake) => Failure::usage(config.mistakes(vec![mistake]).pictures(super::look())),
        None => error.into(),
    }
}

/// The store of that name; the one that is there without configuration too.
fn store(config: &Config, name: Option<&str>) -> Result<StoreConfig, Failure> {
    let name = name.unwrap_or("default");
    config.store(name).ok_or_else(|| {
        let names: Vec<&str> = config.stores.keys().map(String::as_str).collect();
        Failure::not_found(format!("there is no store {name:?} in the configuration; it has {}", names.join(", ")))
    })
}

/// Opens one store, once.
async fn open_store(config: &Config, store: &StoreConfig) -> Result<OpenedStore, Failure> {
    if store.registration.name == "memory" {
        let told = format!("store {:?} is in the memory of the host, and none runs on this configuration", store.name);
        return Err(Failure::unreachable(told));
    }
    let late = || Failure::unreachable(format!("store {:?}: no connection within {OPEN:?}", store.name));
    let opened = tokio::time::timeout(OPEN, stores::open(config, store, None)).await.map_err(|_| late())?;
    opened.map_err(|error| refused(config, error.as_mistake(config), error))
}

/// Opens one broker, once.
pub(super) async fn open_one(config: &Config, broker: &BrokerConfig) -> Result<opened::Opened, OpenError> {
    let late = || OpenError {
        name: broker.name.clone(),
        kind: broker.registration.name,
        error: longshore_core::BrokerError::retry(format!("no connection within {OPEN:?}")),
    };
    tokio::time::timeout(OPEN, open(config, broker, None, Clock::system())).await.unwrap_or_else(|_| Err(late()))
}

/// The host that runs on this configuration, if one does. Where another process has what is needed, that is told.
///
/// Any file of the configuration may lead to its host, as a host on free ports is known by its locks only.
pub(super) async fn find_host(config: &Config, need: Need<'_>) -> Result<Option<Client>, Failure> {
    let token = config.admin.token.as_ref().map(|t| t.expose().to_owned());
    for (holder, is_needed) in holders(config, need) {
        match ask(config, holder, token.clone()).await {
            Ok(client) => return Ok(Some(client)),
            Err(failure) if is_needed => return Err(failure),
            Err(_) => {}
        }
    }
    listening(config, token).await
}

/// The host behind a lock, if it runs on this configuration.
async fn ask(config: &Config, holder: Holder, token: Option<String>) -> Result<Client, Failure> {
    let Holder { what, pid, admin } = holder;
    let Some(admin) = admin else {
        let message = format!("{what} is in use by process {pid}, which cannot be asked for anything: wait until it ends");
        return Err(Failure::failed(message));
    };
    let client = Client::new(admin, token);
    match tokio::time::timeout(HELLO, client.host()).await {
        Ok(Ok(host)) if is_on(config, &host) => Ok(client),
        Ok(Ok(host)) => {
            let other = host.config.unwrap_or_else(|| "another configuration".into());
            Err(Failure::failed(format!("{what} is in use by process {pid}, a host that runs on {other}: ask that one by its --config")))
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(Failure::unreachable(format!("{what} is in use by process {pid}, and that does not answer at {}", client.address()))),
    }
}

/// A host at the configured address that says that it runs on this file. Who is there and says nothing may be that host.
async fn listening(config: &Config, token: Option<String>) -> Result<Option<Client>, Failure> {
    let mut address = config.admin.listen;
    if address.port() == 0 {
        return Ok(None);
    }
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    let client = Client::new(address.to_string(), token);
    match tokio::time::timeout(HELLO, client.host()).await {
        Ok(Ok(host)) if is_on(config, &host) => Ok(Some(client)),
        Ok(_) => Ok(None),
        Err(_) => {
            let address = client.address();
            Err(Failure::unreachable(format!(
                "the host of this configuration does not answer at {address}: whoever listens there says nothing"
            )))
        }
    }
}

fn is_on(config: &Config, host: &Host) -> bool {
    host.config.as_deref().map(Path::new) == Some(&*config.place())
}

/// Who has brokers and stores of this configuration for themselves, and whether that is what is needed; that first.
fn holders(config: &Config, need: Need<'_>) -> Vec<(Holder, bool)> {
    let brokers = config.brokers.values().map(|broker| {
        let is_needed = match need {
            Need::One(name) => broker.name == name.unwrap_or("default"),
            Need::All => true,
            Need::Store(_) => false,
        };
        ((broker.registration.holder)(broker.settings.clone(), &config.folder), is_needed)
    });
    let needed = if let Need::Store(name) = need { config.store(name.unwrap_or("default")) } else { None };
    let others = config.stores.values().filter(|store| needed.as_ref().is_none_or(|needed| needed.name != store.name));
    let stores = others.map(|store| (store, false)).chain(needed.iter().map(|store| (store, true)));
    let stores = stores.map(|(store, is_needed)| ((store.registration.holder)(store.settings.clone(), &config.folder), is_needed));
    let mut held: Vec<(Holder, bool)> = brokers.chain(stores).filter_map(|(holder, is_needed)| Some((holder?, is_needed))).collect();
    held.sort_by_key(|(_, is_needed)| !is_needed);
    held
}
