//! A Kafka cluster of three nodes.

use super::options::{Node, Ports};
use super::{Kafka, KafkaOptions};
use crate::servers::program;

const NODES: usize = 3;

/// Three nodes, each broker and controller: any one may be killed, and the others elect new leaders.
#[derive(Debug)]
pub struct KafkaCluster {
    nodes: Vec<Kafka>,
}

impl KafkaCluster {
    /// Starts one with these options on each node, and waits until each knows the others. Topics have three replicas. `None`: not installed,
    /// skip the test.
    ///
    /// # Panics
    /// When it does not start, or is missing in continuous integration.
    pub fn start(options: &KafkaOptions) -> Option<KafkaCluster> {
        program::KAFKA.or_skip(options.disk.is_some())?;
        let ports: Vec<Ports> = (0..NODES).map(|_| Ports::new(options)).collect();
        let voters: Vec<(usize, u16)> = ports.iter().enumerate().map(|(i, ports)| (i + 1, ports.controller)).collect();
        let node = |(i, ports)| Kafka::prepare(options, &Node { id: i + 1, voters: voters.clone() }, ports);
        let cluster = KafkaCluster { nodes: ports.into_iter().enumerate().map(node).collect() };
        cluster.await_ready();
        Some(cluster)
    }

    /// The nodes; the first has the number 1.
    pub fn nodes(&self) -> &[Kafka] {
        &self.nodes
    }

    /// The addresses of all, as clients name them in `bootstrap-servers`.
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(Kafka::address).collect()
    }

    /// Waits until each node that runs knows all three.
    ///
    /// # Panics
    /// When it is not so within 60 seconds.
    pub fn await_ready(&self) {
        self.nodes.iter().filter(|node| node.server.is_running()).for_each(|node| node.server.await_ready());
    }
}
