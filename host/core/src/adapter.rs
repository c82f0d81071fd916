//! What a broker adapter is: a name, what it can do, its configuration, and a way to connect.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;

use crate::BoxFuture;
use crate::broker::{Connection, Consumer, DeadLetters, Groups, Publisher, Role, Subscribe, Topics};
use crate::capabilities::Capabilities;
use crate::clock::Clock;
use crate::error::BrokerError;
use crate::own_keys::{OwnKeys, Refused};

/// A process that has a broker for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// What it holds, for a person: `database longshore.db`.
    pub what: String,
    /// Process number.
    pub pid: u32,
    /// Where its administration interface listens, if it has one.
    pub admin: Option<String>,
}

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
    /// Whether it is part of this process, so that nobody can take away what a lane holds while the process lives.
    const IN_PROCESS: bool = false;
    /// Whether a topic is a queue that one group empties, so that a second group would take from the first.
    const IS_QUEUE: bool = false;
    /// Something where it keeps nothing: a message goes to who listens when it is published, or to nobody, and never again. Such a broker
    /// declares none of the flags that need keeping, and names here the kind of broker that is like it and keeps messages.
    const FORGETS: Option<&'static str> = None;
    /// Whether it takes an acknowledgement from whoever sends it and does not say whose the message was: at-most-once is refused then.
    const ACKS_BLINDLY: bool = false;
    /// Whether a round that is settled in a transaction takes effect once and for all: whoever lost its messages meanwhile settles nothing, and
    /// whoever gets them next begins behind it.
    const FENCES: bool = false;
    /// Whether its client connects again by itself, for as long as that takes, so that nobody counts how often.
    const CONNECTS_AGAIN: bool = false;
    /// How long a fetch waits at the broker where `fetch.max-wait` says nothing. `None`: the broker wakes its readers by itself, or the wait is
    /// nothing that a user should set.
    const MAX_WAIT: Option<Duration> = None;
    /// Its keys in `[brokers.<name>]`, `type` aside. Refuses unknown ones.
    type Config: DeserializeOwned + JsonSchema + Send + 'static;
    /// Its own keys in a subscription, besides the common ones, with a default for each. Refuses unknown ones.
    type Subscription: DeserializeOwned + JsonSchema + Default;
    /// Its own keys in `[topics.<name>]`, besides the common ones, with a default for each. Refuses unknown ones.
    type Topic: DeserializeOwned + JsonSchema + Default;

    /// Whether a topic can have that name, or why not, as a sentence. Asked when the configuration is checked, also about dead-letter topics.
    fn check_topic(name: &str) -> Result<(), String> {
        let _ = name;
        Ok(())
    }

    /// What of [`Self::CAPABILITIES`] there is with that configuration. What is not, is refused, or done by the host, as on any broker.
    fn able(config: &Self::Config) -> Capabilities {
        let _ = config;
        Self::CAPABILITIES
    }

    /// What of what the broker is able to there is for a subscription with these keys.
    fn able_for(own: &Self::Subscription, able: Capabilities) -> Capabilities {
        let _ = own;
        able
    }

    /// The other process that has the broker for itself now, where it can belong to one alone; paths are relative to `folder`.
    fn holder(config: &Self::Config, folder: &Path) -> Option<Holder> {
        let _ = (config, folder);
        None
    }

    /// Keys of a subscription that cannot mean anything here, or not together. Asked when the configuration is checked, so no connection is
    /// there; what only the broker knows, `subscribe` answers.
    fn check_subscription(subscribe: &Subscribe, own: &Self::Subscription) -> Vec<Refused> {
        let _ = (subscribe, own);
        Vec::new()
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
    /// [`Adapter::CAPABILITIES`], or of a broker that is configured what it is able to.
    pub capabilities: Capabilities,
    /// [`Adapter::able`]; all of it where the configuration does not fit.
    able: fn(serde_json::Value) -> Capabilities,
    /// [`Adapter::IN_PROCESS`].
    pub in_process: bool,
    /// [`Adapter::IS_QUEUE`].
    pub is_queue: bool,
    /// [`Adapter::FORGETS`].
    pub forgets: Option<&'static str>,
    /// [`Adapter::ACKS_BLINDLY`].
    pub acks_blindly: bool,
    /// [`Adapter::FENCES`].
    pub fences: bool,
    /// [`Adapter::able_for`]; all of it where the keys cannot be read.
    able_for: fn(&OwnKeys, Capabilities) -> Capabilities,
    /// [`Adapter::CONNECTS_AGAIN`].
    pub connects_again: bool,
    /// [`Adapter::MAX_WAIT`].
    pub max_wait: Option<Duration>,
    /// JSON schema of [`Adapter::Config`].
    pub schema: fn() -> Schema,
    /// [`Adapter::Subscription`].
    pub subscription: Table,
    /// [`Adapter::Topic`].
    pub topic: Table,
    /// [`Adapter::check_subscription`], once its own keys have been read.
    pub check_subscription: fn(&Subscribe) -> Result<Vec<Refused>, BrokerError>,
    /// [`Adapter::check_topic`].
    pub check_topic: fn(&str) -> Result<(), String>,
    /// [`Adapter::holder`]; nobody where the configuration does not fit.
    pub holder: fn(serde_json::Value, &Path) -> Option<Holder>,
    /// [`Adapter::connect`]; an error when the configuration does not fit.
    pub connect: ConnectFn,
}

/// The keys that an adapter adds to a table of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Their schema.
    pub schema: fn() -> Schema,
    /// Whether such keys with such values can be read.
    pub check: fn(&OwnKeys) -> Result<(), BrokerError>,
}

impl Table {
    const fn of<T: DeserializeOwned + JsonSchema>() -> Self {
        Table { schema: || schemars::schema_for!(T), check: |own| own.read::<T>().map(drop) }
    }
}

impl Registration {
    /// The registration of an adapter.
    pub const fn of<A: Adapter>() -> Self {
        Registration {
            name: A::NAME,
            capabilities: A::CAPABILITIES,
            able: |config| serde_json::from_value(config).map_or(A::CAPABILITIES, |config| A::able(&config)),
            in_process: A::IN_PROCESS,
            is_queue: A::IS_QUEUE,
            forgets: A::FORGETS,
            acks_blindly: A::ACKS_BLINDLY,
            fences: A::FENCES,
            able_for: |own, able| own.read::<A::Subscription>().map_or(able, |own| A::able_for(&own, able)),
            connects_again: A::CONNECTS_AGAIN,
            max_wait: A::MAX_WAIT,
            schema: || schemars::schema_for!(A::Config),
            subscription: Table::of::<A::Subscription>(),
            topic: Table::of::<A::Topic>(),
            check_subscription: |subscribe| Ok(A::check_subscription(subscribe, &subscribe.own.read()?)),
            check_topic: A::check_topic,
            holder: |config, folder| A::holder(&serde_json::from_value(config).ok()?, folder),
            connect: |config, connect| Ok(A::connect(serde_json::from_value(config)?, connect)),
        }
    }

    /// The adapter as a broker with that configuration has it.
    #[must_use]
    pub fn configured(self, config: &serde_json::Value) -> Self {
        Registration { capabilities: (self.able)(config.clone()), ..self }
    }

    /// What a subscription with these keys of the adapter's can rely on.
    #[must_use]
    pub fn capabilities_for(&self, own: &OwnKeys) -> Capabilities {
        (self.able_for)(own, self.capabilities)
    }
}
