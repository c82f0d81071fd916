//! Brokers on a real server.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use longshore_brokers::rabbitmq::RabbitMq;
use longshore_core::{
    Adapter, BoxFuture, BrokerError, Capabilities, Clock, Connect, Lanes, Order, OwnKeys, Roles, Subscribe, TopicSettings,
};
use longshore_testkit::conformance::{Hand, Shared, Subject};
use longshore_testkit::servers;
use serde_json::{Value, json};

/// How long anything that must come may take.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Connects with a configuration.
pub(crate) async fn connect(config: Value, topics: Vec<(String, TopicSettings)>) -> Result<Roles, BrokerError> {
    let folder = Path::new(".").into();
    let connect = Connect { name: "default".into(), folder, clock: Clock::system(), admin: None, topics };
    RabbitMq::connect(serde_json::from_value(config).expect("a good configuration"), connect).await
}

/// Connects to a server.
pub(crate) async fn connect_to(server: &servers::RabbitMq) -> Roles {
    connect(json!({ "url": server.url() }), Vec::new()).await.expect("the server is there")
}

/// Keys as they are in a configuration.
pub(crate) fn own(keys: Value) -> OwnKeys {
    let Value::Object(keys) = keys else { panic!("keys are a table") };
    OwnKeys::new(keys)
}

/// Settings of a topic.
pub(crate) fn topic(keys: Value) -> TopicSettings {
    TopicSettings { own: own(keys), ..TopicSettings::default() }
}

/// Makes a topic.
pub(crate) async fn create(roles: &Roles, name: &str, keys: Value) -> Result<bool, BrokerError> {
    roles.topics.as_ref().expect("it has topics").create(name, &topic(keys)).await
}

/// A subscription without order, with keys of its own.
pub(crate) fn wish(topic: &str, group: Option<&str>, keys: Value) -> Subscribe {
    Subscribe { group: group.map(Into::into), own: own(keys), ..crate::work::wish(topic, "", Order::None) }
}

/// Subscribes.
pub(crate) async fn subscribe(roles: &Roles, subscribe: Subscribe) -> Result<Lanes, BrokerError> {
    roles.consumer.as_ref().expect("it consumes").subscribe(subscribe).await
}

/// The one lane of a subscription, in a hand.
pub(crate) async fn hand(roles: &Roles, wish: Subscribe) -> Hand {
    let mut lanes = subscribe(roles, wish).await.expect("subscribed");
    Hand::new(lanes.next().await.expect("a lane").expect("no error"), Some(lanes))
}

/// Waits until `what` is so.
pub(crate) async fn until(mut what: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !what().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, wait).await.expect("it becomes so in time");
}

/// RabbitMQ under the conformance suite, on a server of its own, as it is killed.
pub(crate) struct RabbitMqSubject {
    pub(crate) server: servers::RabbitMq,
}

impl Subject for RabbitMqSubject {
    fn capabilities(&self) -> Capabilities {
        RabbitMq::CAPABILITIES
    }

    fn connect(&self) -> BoxFuture<'_, Roles> {
        Box::pin(connect_to(&self.server))
    }

    fn shared(&self) -> Shared {
        let exchange = json!({ "exchange": "conformance" });
        Shared { topic: TopicSettings { own: own(exchange.clone()), ..TopicSettings::default() }, subscription: own(exchange) }
    }

    fn confirms_settlements(&self) -> bool {
        false
    }

    /// Each new queue is waited for.
    fn at_once(&self) -> usize {
        8
    }

    fn restart(&self, roles: Roles) -> BoxFuture<'_, Option<Roles>> {
        drop(roles);
        Box::pin(async move {
            tokio::task::block_in_place(|| self.server.server.restart());
            Some(connect_to(&self.server).await)
        })
    }
}
