//! Connections to servers under test.

use std::path::Path;

use longshore_brokers::redis::lists::Lists;
use longshore_brokers::redis::streams::Streams;
use longshore_core::{Adapter, BrokerError, Clock, Connect, Roles, TopicSettings};
use serde_json::{Value, json};

/// What the host would say to an adapter.
pub(crate) fn connect_with(topics: Vec<(String, TopicSettings)>) -> Connect {
    Connect { name: "default".into(), folder: Path::new(".").into(), clock: Clock::system(), admin: None, topics }
}

/// Connects as the configuration says.
pub(crate) async fn try_connect<A: Adapter>(config: Value, topics: Vec<(String, TopicSettings)>) -> Result<Roles, BrokerError> {
    let config = serde_json::from_value(config).expect("a good configuration");
    A::connect(config, connect_with(topics)).await
}

/// Connects to a port of this machine, with a lease that a test can wait for.
pub(crate) async fn connect<A: Adapter>(port: u16) -> Roles {
    try_connect::<A>(json!({ "host": "127.0.0.1", "port": port, "lease": "3s" }), Vec::new()).await.expect("a server that is there")
}

/// Streams on a port of this machine.
pub(crate) async fn streams(port: u16) -> Roles {
    connect::<Streams>(port).await
}

/// Lists on a port of this machine.
pub(crate) async fn lists(port: u16) -> Roles {
    connect::<Lists>(port).await
}
