//! Three NATS servers that keep streams together.

use serde_json::Value;

use super::{Nats, NatsOptions};
use crate::servers::{ports, program};

const NODES: usize = 3;

/// Three servers. A stream may have a replica on each, and goes on while two of them are there.
#[derive(Debug)]
pub struct NatsCluster {
    nodes: Vec<Nats>,
}

impl NatsCluster {
    /// Starts one with these options on each node, and waits until each is in step with the others. `None`: not installed, skip the test.
    ///
    /// # Panics
    /// When it does not start, or is missing in continuous integration.
    pub fn start(options: &NatsOptions) -> Option<NatsCluster> {
        program::NATS.or_skip(options.disk.is_some())?;
        let routes: Vec<u16> = (0..NODES).map(|_| ports::free()).collect();
        let urls: Vec<String> = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let node = |port: &u16| {
            let line = format!("cluster {{ name: test, listen: \"127.0.0.1:{port}\", routes: [{}] }}", urls.join(", "));
            Nats::launched(&options.clone().line(&line))
        };
        let cluster = NatsCluster { nodes: routes.iter().map(node).collect() };
        cluster.await_ready();
        Some(cluster)
    }

    /// Its servers.
    pub fn nodes(&self) -> &[Nats] {
        &self.nodes
    }

    /// Where each of them is.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Nats::url).collect()
    }

    /// Waits until each that runs is in step with the others.
    ///
    /// # Panics
    /// When one is not in time.
    pub fn await_ready(&self) {
        self.nodes.iter().filter(|node| node.server.is_running()).for_each(|node| node.server.await_ready());
    }

    /// The server that leads a stream now; `None` while it is not agreed on.
    pub fn leader(&self, stream: &str) -> Option<&Nats> {
        let asked = self.nodes.iter().filter(|node| node.server.is_running());
        let told = asked.filter_map(|node| node.ask(&format!("$JS.API.STREAM.INFO.{stream}"), "").ok());
        let names = told.filter_map(|answer| {
            let answer: Value = serde_json::from_str(&answer).ok()?;
            Some(answer.pointer("/cluster/leader")?.as_str()?.to_owned())
        });
        let name = names.last()?;
        self.nodes.iter().find(|node| node.name() == name)
    }
}
