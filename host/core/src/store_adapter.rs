//! What a store adapter is: a name, its configuration, and a way to connect.

use std::path::Path;

use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;

use crate::BoxFuture;
use crate::adapter::{Connect, Holder};
use crate::error::BrokerError;
use crate::store::StoreRoles;

/// A kind of store.
pub trait StoreAdapter: 'static {
    /// Value of `type` in the configuration.
    const NAME: &'static str;
    /// Its keys in `[stores.<name>]`, `type` and those of every store aside. Refuses unknown ones.
    type Config: DeserializeOwned + JsonSchema + Send + 'static;

    /// Bytes that all of its caches may have together, where that is configured: no value can be larger.
    fn room(config: &Self::Config) -> Option<u64> {
        let _ = config;
        None
    }

    /// The other process that has the store for itself now, where it can belong to one alone; paths are relative to `folder`.
    fn holder(config: &Self::Config, folder: &Path) -> Option<Holder> {
        let _ = (config, folder);
        None
    }

    /// Connects, once.
    fn connect(config: Self::Config, connect: Connect) -> BoxFuture<'static, Result<StoreRoles, BrokerError>>;
}

/// What [`StoreRegistration::connect`] is: configuration as JSON, checked against the schema before.
type ConnectFn = fn(serde_json::Value, Connect) -> Result<BoxFuture<'static, Result<StoreRoles, BrokerError>>, serde_json::Error>;

/// A store adapter as a value: one line in a list of them.
#[derive(Clone, Copy)]
pub struct StoreRegistration {
    /// [`StoreAdapter::NAME`].
    pub name: &'static str,
    /// JSON schema of [`StoreAdapter::Config`].
    pub schema: fn() -> Schema,
    /// [`StoreAdapter::room`]; unknown where the configuration does not fit.
    pub room: fn(serde_json::Value) -> Option<u64>,
    /// [`StoreAdapter::holder`]; nobody where the configuration does not fit.
    pub holder: fn(serde_json::Value, &Path) -> Option<Holder>,
    /// [`StoreAdapter::connect`]; an error when the configuration does not fit.
    pub connect: ConnectFn,
}

impl StoreRegistration {
    /// The registration of a store adapter.
    pub const fn of<A: StoreAdapter>() -> Self {
        StoreRegistration {
            name: A::NAME,
            schema: || schemars::schema_for!(A::Config),
            room: |config| A::room(&serde_json::from_value(config).ok()?),
            holder: |config, folder| A::holder(&serde_json::from_value(config).ok()?, folder),
            connect: |config, connect| Ok(A::connect(serde_json::from_value(config)?, connect)),
        }
    }
}
