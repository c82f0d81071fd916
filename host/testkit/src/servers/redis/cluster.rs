//! A Redis Cluster of three masters.

use std::time::Duration;

use super::{Redis, RedisOptions};
use crate::servers::{patience, ports, program};

/// Slots of a cluster (Redis Cluster specification, key distribution model).
const SLOTS: usize = 16_384;
const MASTERS: usize = 3;
/// How long the nodes may take to agree.
const AGREEING: Duration = Duration::from_secs(30);
/// After which a node that does not answer has failed for the others.
const NODE_TIMEOUT: Duration = Duration::from_secs(2);

/// Three masters, a third of the slots each, no replicas.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts one with these options on each node, and waits until every node knows all slots to be covered. `None`: not installed, skip the
    /// test.
    ///
    /// # Panics
    /// When it does not start, or is missing in continuous integration.
    pub fn start(options: &RedisOptions) -> Option<RedisCluster> {
        program::REDIS.or_skip(options.disk.is_some())?;
        let (nodes, buses): (Vec<Redis>, Vec<u16>) = (0..MASTERS).map(|_| node(options)).unzip();
        let cluster = RedisCluster { nodes };
        cluster.join(&buses).unwrap_or_else(|why| panic!("the nodes of a Redis Cluster cannot be joined: {why}"));
        cluster.await_ready();
        Some(cluster)
    }

    /// The masters. The first has slots from 0 on, the second from 5,461, the third from 10,922.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// Waits until every node knows all slots to be covered and sees the others.
    ///
    /// # Panics
    /// When it is not so within 30 seconds.
    pub fn await_ready(&self) {
        let ready = patience::wait(AGREEING, || self.nodes.iter().try_for_each(is_covered));
        ready.unwrap_or_else(|why| panic!("the Redis Cluster is not ready: {why}"));
    }

    fn join(&self, buses: &[u16]) -> Result<(), String> {
        for (index, node) in self.nodes.iter().enumerate() {
            let (first, last) = (index * SLOTS / MASTERS, (index + 1) * SLOTS / MASTERS - 1);
            node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()])?;
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
        }
        for (node, bus) in self.nodes.iter().zip(buses).skip(1) {
            self.nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string(), &bus.to_string()])?;
        }
        Ok(())
    }
}

/// A node that knows no other, and the port of its bus.
fn node(options: &RedisOptions) -> (Redis, u16) {
    let bus = ports::free();
    let options = options
        .clone()
        .set("cluster-enabled", "yes")
        .set("cluster-port", &bus.to_string())
        .set("cluster-node-timeout", &NODE_TIMEOUT.as_millis().to_string());
    (Redis::launch(&options), bus)
}

fn is_covered(node: &Redis) -> Result<(), String> {
    let info = node.ask(&["CLUSTER", "INFO"])?.concat();
    let expected = ["cluster_state:ok".to_owned(), format!("cluster_slots_ok:{SLOTS}"), format!("cluster_known_nodes:{MASTERS}")];
    match expected.iter().find(|line| !info.lines().any(|found| found == line.as_str())) {
        Some(line) => Err(format!("port {} does not say {line}: {info}", node.port())),
        None => Ok(()),
    }
}
