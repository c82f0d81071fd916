//! Asking a store whether it is there.

use std::time::Duration;

use longshore_core::BrokerError;

use crate::config::{Config, StoreConfig};
use crate::findings::within;
use crate::stores;

/// How long a store may take to close.
const CLOSE: Duration = Duration::from_secs(5);

/// In a word, what it said; and what went wrong.
pub(super) async fn ask(config: &Config, store: &StoreConfig) -> (String, Result<(), BrokerError>) {
    if let Some(holder) = (store.registration.holder)(store.settings.clone(), &config.folder) {
        return (format!("in use by process {}", holder.pid), Ok(()));
    }
    let answer = within(reach(config, store)).await;
    let says = if answer.is_ok() { "healthy" } else { "does not answer as it is needed" };
    (says.into(), answer)
}

async fn reach(config: &Config, store: &StoreConfig) -> Result<(), BrokerError> {
    let opened = stores::open(config, store, None).await.map_err(|failed| failed.error)?;
    let alive = opened.roles.connection.ping().await;
    stores::close(&[(store.name.clone(), opened)].into(), CLOSE).await;
    alive
}
