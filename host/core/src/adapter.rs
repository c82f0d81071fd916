//! What a broker adapter is: a name, what it can do, its configuration, and a way to connect.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;

use crate::BoxFuture;
use crate::broker::{Connection, Consumer, DeadLetters, Groups, Publisher, Role, Topics};
use crate::capabilities::Capabilities;
use crate::clock::Clock;
use crate::error::BrokerError;

/// What the host tells an adapter besides its configuration.
#[derive(Debug, Clone)]
pub struct Connect {
    /// The broker's name in the configuration.
    pub name: String,
    /// Folder of the configuration file: relative paths start here.
    pub folder: PathBuf,
    /// The wall clock.
    pub clock: Clock,
    /// Where this process can be asked, for a broker that only one process can hold to tell others.
    pub admin: Option<String>,
    /// Topics that are kept in a way of their own.
    pub topics: Vec<(String, crate::broker::TopicSettings)>,
}

/// The roles of one connected broker, each optional but the connection.
#[derive(Clone)]
pub struct Roles {
    /// Ping and close.
    pub connection: Arc<dyn Connection>,
    /// Consuming.
    pub consumer: Role<dyn Consumer>,
    /// Publishing.
    pub publisher: Role<dyn Publisher>,
    /// Topics.
    pub topics: Role<dyn Topics>,
    /// Groups.
    pub groups: Role<dyn Groups>,
    /// Dead letters.
    pub dead_letters: Role<dyn DeadLetters>,
}

/// A kind of broker.
pub trait Adapter: 'static {
    /// Value of `type` in the configuration.
    const NAME: &'static str;
    /// What it can do. Each flag is tested by the conformance suite; what is not here must answer `unsupported`.
    const CAPABILITIES: Capabilities;
    /// Its keys in `[brokers.<name>]`, `type` aside. Refuses unknown ones.
    type Config: DeserializeOwned + JsonSchema + Send + 'static;

    /// Whether a topic can have that name, or why not, as a sentence. Asked when the configuration is checked, also about dead-letter topics.
    fn check_topic(name: &str) -> Result<(), String> {
        let _ = name;
        Ok(())
    }

    /// Connects, once: the engine decides about trying again.
    fn connect(config: Self::Config, connect: Connect) -> BoxFuture<'static, Result<Roles, BrokerError>>;
}

/// What [`Registration::connect`] is: configuration as JSON, checked against the schema before.
type ConnectFn = fn(serde_json::Value, Connect) -> Result<BoxFuture<'static, Result<Roles, BrokerError>>, serde_json::Error>;

/// An adapter as a value: one line in a list of adapters.
#[derive(Clone, Copy)]
pub struct Registration {
    /// [`Adapter::NAME`].
    pub name: &'static str,
    /// [`Adapter::CAPABILITIES`].
    pub capabilities: Capabilities,
    /// JSON schema of [`Adapter::Config`].
    pub schema: fn() -> Schema,
    /// [`Adapter::check_topic`].
    pub check_topic: fn(&str) -> Result<(), String>,
    /// [`Adapter::connect`]; an error when the configuration does not fit.
    pub connect: ConnectFn,
}

impl Registration {
    /// The registration of an adapter.
    pub const fn of<A: Adapter>() -> Self {
        Registration {
            name: A::NAME,
            capabilities: A::CAPABILITIES,
            schema: || schemars::schema_for!(A::Config),
            check_topic: A::check_topic,
            connect: |config, connect| Ok(A::connect(serde_json::from_value(config)?, connect)),
        }
    }
}
