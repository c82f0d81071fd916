//! Brokers on a real server.

use std::path::Path;
use std::time::Duration;

use longshore_brokers::rabbitmq::RabbitMq;
use longshore_core::{Adapter, BoxFuture, BrokerError, Capabilities, Clock, Connect, OwnKeys, Roles, TopicSettings};
use longshore_testkit::conformance::{Shared, Subject};
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

    fn restart(&self, roles: Roles) -> BoxFuture<'_, Option<Roles>> {
        drop(roles);
        Box::pin(async move {
            tokio::task::block_in_place(|| self.server.server.restart());
            Some(connect_to(&self.server).await)
        })
    }
}
