//! Brokers on a real server.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use longshore_brokers::nats::core::Nats as CoreNats;
use longshore_brokers::nats::jetstream::NatsJetStream;
use longshore_core::{
    Adapter, BoxFuture, BrokerError, Capabilities, Clock, Connect, Lanes, Order, OwnKeys, Pattern, Roles, Subscribe, TopicSettings,
};
use longshore_testkit::conformance::{Hand, Subject};
use longshore_testkit::servers::Nats;
use serde_json::{Value, json};

/// Connects with a configuration.
pub(crate) async fn connect(config: Value, topics: Vec<(String, TopicSettings)>) -> Result<Roles, BrokerError> {
    let folder = Path::new(".").into();
    let connect = Connect { name: "default".into(), folder, clock: Clock::system(), admin: None, topics };
    NatsJetStream::connect(serde_json::from_value(config).expect("a good configuration"), connect).await
}

/// Connects to a server.
pub(crate) async fn connect_to(nats: &Nats) -> Roles {
    connect(json!({ "url": nats.url() }), Vec::new()).await.expect("the server is there")
}

/// JetStream under the conformance suite, on a server of its own, as it is killed.
pub(crate) struct JetStreamSubject {
    pub(crate) nats: Nats,
}

impl Subject for JetStreamSubject {
    fn capabilities(&self) -> Capabilities {
        NatsJetStream::CAPABILITIES
    }

    fn connect(&self) -> BoxFuture<'_, Roles> {
        Box::pin(connect_to(&self.nats))
    }

    fn own_keys(&self) -> OwnKeys {
        OwnKeys::new(serde_json::Map::from_iter([("lease".to_owned(), json!("2s"))]))
    }

    /// The server writes the state of a consumer ten times a second at most.
    fn commit_interval(&self) -> Duration {
        Duration::from_millis(300)
    }

    fn restart(&self, roles: Roles) -> BoxFuture<'_, Option<Roles>> {
        drop(roles);
        Box::pin(async move {
            tokio::task::block_in_place(|| self.nats.server.restart());
            Some(connect_to(&self.nats).await)
        })
    }
}

/// Connects to core NATS with a configuration.
pub(crate) async fn connect_core(config: Value, topics: Vec<(String, TopicSettings)>) -> Result<Roles, BrokerError> {
    let folder = Path::new(".").into();
    let connect = Connect { name: "default".into(), folder, clock: Clock::system(), admin: None, topics };
    CoreNats::connect(serde_json::from_value(config).expect("a good configuration"), connect).await
}

/// Core NATS under the conformance suite.
pub(crate) struct CoreSubject {
    pub(crate) nats: Nats,
}

impl Subject for CoreSubject {
    fn capabilities(&self) -> Capabilities {
        CoreNats::CAPABILITIES
    }

    fn connect(&self) -> BoxFuture<'_, Roles> {
        Box::pin(async { connect_core(json!({ "url": self.nats.url() }), Vec::new()).await.expect("the server is there") })
    }

    fn forgets(&self) -> bool {
        CoreNats::FORGETS.is_some()
    }

    fn restart(&self, _: Roles) -> BoxFuture<'_, Option<Roles>> {
        Box::pin(std::future::ready(None))
    }
}

/// A subscription's own keys.
pub(crate) fn own(keys: Value) -> OwnKeys {
    let Value::Object(keys) = keys else { panic!("a table of keys") };
    OwnKeys::new(keys)
}

/// A subscription with keys of its own.
pub(crate) fn wish(topics: &[&str], group: &str, keys: Value) -> Subscribe {
    let topics = topics.iter().map(|topic| Pattern::new(topic).expect("a pattern")).collect();
    Subscribe { topics, own: own(keys), ..crate::work::wish("any", group, Order::None) }
}

/// Subscribes.
pub(crate) async fn subscribe(roles: &Roles, wish: Subscribe) -> Result<Lanes, BrokerError> {
    roles.consumer.as_ref().expect("it consumes").subscribe(wish).await
}

/// Subscribes and takes the first lane.
pub(crate) async fn hand(roles: &Roles, wish: Subscribe) -> Hand {
    let mut lanes = subscribe(roles, wish).await.expect("subscribed");
    let lane = tokio::time::timeout(Duration::from_secs(10), lanes.next()).await.expect("a lane soon");
    Hand::new(lane.expect("a lane").expect("no error"), Some(lanes))
}

/// A client of the server, for what somebody else does to it.
pub(crate) async fn foreign(nats: &Nats) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(async_nats::connect(nats.url()).await.expect("the server is there"))
}
