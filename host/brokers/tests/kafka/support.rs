//! Brokers on a real server.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use longshore_brokers::kafka::{Kafka as Adapted, Subscription};
use longshore_core::{
    Adapter, BoxFuture, BrokerError, Capabilities, Clock, Connect, Lanes, Message, Order, Outbox, OwnKeys, Roles, Subscribe, TopicSettings,
};
use longshore_testkit::conformance::{Hand, Subject};
use longshore_testkit::servers::Kafka;
use serde_json::{Value, json};

/// Connects with a configuration.
pub(crate) async fn connect(config: Value, topics: Vec<(String, TopicSettings)>) -> Result<Roles, BrokerError> {
    let folder = Path::new(".").into();
    let connect = Connect { name: "default".into(), folder, clock: Clock::system(), admin: None, topics };
    Adapted::connect(serde_json::from_value(config).expect("a good configuration"), connect).await
}

/// Connects to a server. Whoever dies is found out soon.
pub(crate) async fn connect_to(kafka: &Kafka) -> Roles {
    connect(config(&kafka.address()), Vec::new()).await.expect("the server is there")
}

/// A usual configuration.
pub(crate) fn config(servers: &str) -> Value {
    json!({ "bootstrap-servers": servers, "session-timeout": "6s", "heartbeat-interval": "500ms" })
}

/// Kafka under the conformance suite, on a server of its own, as it is killed.
pub(crate) struct KafkaSubject {
    pub(crate) kafka: Kafka,
    /// Whether its subscriptions settle exactly once.
    pub(crate) once: bool,
}

impl Subject for KafkaSubject {
    fn capabilities(&self) -> Capabilities {
        Adapted::able_for(&own(&self.own_keys()), Adapted::CAPABILITIES)
    }

    fn connect(&self) -> BoxFuture<'_, Roles> {
        Box::pin(connect_to(&self.kafka))
    }

    fn own_keys(&self) -> OwnKeys {
        if self.once { once() } else { OwnKeys::default() }
    }

    /// What is settled is committed within a second. With exactly-once it is before settling answers; but a server that has nobody beside it and is
    /// killed before it wrote the markers of a transaction may never write them (seen of 4.4), and then its group stands still.
    fn commit_interval(&self) -> Duration {
        Duration::from_millis(if self.once { 500 } else { 1_300 })
    }

    fn restart(&self, roles: Roles) -> BoxFuture<'_, Option<Roles>> {
        drop(roles);
        Box::pin(async move {
            tokio::task::block_in_place(|| self.kafka.server.restart());
            Some(connect_to(&self.kafka).await)
        })
    }
}

/// Keys of a subscription that settles exactly once.
pub(crate) fn once() -> OwnKeys {
    let Value::Object(keys) = json!({ "exactly-once": true }) else { panic!("a table") };
    OwnKeys::new(keys)
}

fn own(keys: &OwnKeys) -> Subscription {
    keys.read().expect("good keys")
}

/// A usual subscription.
pub(crate) fn wish(topic: &str, group: &str) -> Subscribe {
    crate::work::wish(topic, group, Order::Key)
}

/// The same in a group that no other test is in: one that is shared is divided anew whenever somebody comes or goes.
pub(crate) fn alone(topic: &str) -> Subscribe {
    wish(topic, topic)
}

/// Subscribes.
pub(crate) async fn subscribe(roles: &Roles, wish: Subscribe) -> Result<Lanes, BrokerError> {
    roles.consumer.as_ref().expect("it consumes").subscribe(wish).await
}

/// The next lane.
pub(crate) async fn lane(lanes: &mut Lanes) -> Hand {
    let lane = tokio::time::timeout(Duration::from_secs(15), lanes.next()).await.expect("a lane soon");
    Hand::new(lane.expect("a lane").expect("no error"), None)
}

/// Subscribes and takes the first lane.
pub(crate) async fn hand(roles: &Roles, wish: Subscribe) -> Hand {
    let mut lanes = subscribe(roles, wish).await.expect("subscribed");
    let lane = tokio::time::timeout(Duration::from_secs(15), lanes.next()).await.expect("a lane soon");
    Hand::new(lane.expect("a lane").expect("no error"), Some(lanes))
}

/// Publishes messages with keys, one for each.
pub(crate) async fn publish_keyed(roles: &Roles, topic: &str, keys: &[&str]) -> Vec<String> {
    let mut outbox = Outbox::default();
    for key in keys {
        let (payload, headers) = (Some(key.as_bytes()), std::iter::empty());
        outbox.push(&Message { id: "", topic, key: Some(key.as_bytes()), payload, headers, timestamp: 0, attempt: 1 }, 0, 0);
    }
    let answers = roles.publisher.as_ref().expect("it publishes").publish(&outbox).await.expect("the broker is there");
    answers.into_iter().map(|answer| answer.expect("it is kept")).collect()
}

/// Makes a topic of so many partitions.
pub(crate) async fn make(roles: &Roles, topic: &str, partitions: u16) {
    let Value::Object(own) = json!({ "partitions": partitions }) else { panic!("a table") };
    let settings = TopicSettings { own: OwnKeys::new(own), ..TopicSettings::default() };
    roles.topics.as_ref().expect("topics").create(topic, &settings).await.expect("made");
}
