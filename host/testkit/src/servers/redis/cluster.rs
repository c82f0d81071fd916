//! A Redis Cluster of three masters, of which the first may have a replica.

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

/// Three masters, a third of the slots each.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
    replica: Option<Redis>,
}

impl RedisCluster {
    /// Starts one with these options on each node, and waits until every node knows all slots to be covered. `None`: not installed, skip the
    /// test.
    ///
    /// # Panics
    /// When it does not start, or is missing in continuous integration.
    pub fn start(options: &RedisOptions) -> Option<RedisCluster> {
        program::REDIS.or_skip(options.disk.is_some())?;
        Some(RedisCluster::launch(options, false))
    }

    /// The same with a replica of the first master, in step with it, that takes its place in some seconds when it is gone.
    ///
    /// # Panics
    /// When it does not start, or is missing in continuous integration.
    pub fn with_replica(options: &RedisOptions) -> Option<RedisCluster> {
        program::REDIS.or_skip(options.disk.is_some())?;
        Some(RedisCluster::launch(options, true))
    }

    fn launch(options: &RedisOptions, has_replica: bool) -> RedisCluster {
        let (nodes, buses): (Vec<Redis>, Vec<u16>) = (0..MASTERS).map(|_| node(options)).unzip();
        let (replica, bus) = has_replica.then(|| node(options)).unzip();
        let cluster = RedisCluster { nodes, replica };
        let joined = cluster.join(&buses, bus).and_then(|()| cluster.follow());
        joined.unwrap_or_else(|why| panic!("the nodes of a Redis Cluster cannot be joined: {why}"));
        cluster.await_ready();
        cluster
    }

    /// The masters. The first has slots from 0 on, the second from 5,461, the third from 10,922.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The replica of the first master.
    ///
    /// # Panics
    /// When it was started without.
    pub fn replica(&self) -> &Redis {
        self.replica.as_ref().expect("a cluster that was started with a replica")
    }

    /// Begins to move a slot from one master to another: whoever asks for a key of it that is not at the old one any more is sent to the new.
    ///
    /// # Panics
    /// When a node refuses.
    pub fn begin_move(&self, slot: u16, from: usize, to: usize) {
        let slot = slot.to_string();
        let [source, target] = [from, to].map(|index| self.id(index));
        self.must(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]);
        self.must(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]);
    }

    /// Moves the keys that the slot has.
    ///
    /// # Panics
    /// When a node refuses.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize) {
        let port = self.nodes[to].port().to_string();
        for key in self.must(from, &["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), "1000"]) {
            self.must(from, &["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"]);
        }
    }

    /// Ends a move: the slot is the new master's.
    ///
    /// # Panics
    /// When a node refuses.
    pub fn end_move(&self, slot: u16, from: usize, to: usize) {
        let target = self.id(to);
        for index in [to, from] {
            self.must(index, &["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &target]);
        }
    }

    fn id(&self, index: usize) -> String {
        self.must(index, &["CLUSTER", "MYID"]).concat()
    }

    fn must(&self, index: usize, command: &[&str]) -> Vec<String> {
        self.nodes[index].ask(command).unwrap_or_else(|why| panic!("{command:?}: {why}"))
    }

    /// Waits until every node knows all slots to be covered and sees the others.
    ///
    /// # Panics
    /// When it is not so within 30 seconds.
    pub fn await_ready(&self) {
        let count = self.nodes.len() + usize::from(self.replica.is_some());
        let ready = patience::wait(AGREEING, || self.nodes.iter().chain(&self.replica).try_for_each(|node| is_covered(node, count)));
        ready.unwrap_or_else(|why| panic!("the Redis Cluster is not ready: {why}"));
    }

    fn join(&self, buses: &[u16], replicas_bus: Option<u16>) -> Result<(), String> {
        for (index, node) in self.nodes.iter().enumerate() {
            let (first, last) = (index * SLOTS / MASTERS, (index + 1) * SLOTS / MASTERS - 1);
            node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()])?;
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
        }
        let others = self.nodes.iter().zip(buses).skip(1).chain(self.replica.iter().zip(&replicas_bus));
        for (node, bus) in others {
            let port = node.tls_port.unwrap_or(node.port);
            self.nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &port.to_string(), &bus.to_string()])?;
        }
        Ok(())
    }

    /// Makes the replica one, once it has heard of its master.
    fn follow(&self) -> Result<(), String> {
        let Some(replica) = &self.replica else { return Ok(()) };
        let master = self.nodes[0].ask(&["CLUSTER", "MYID"])?.concat();
        patience::wait(AGREEING, || replica.ask(&["CLUSTER", "REPLICATE", &master]).map(drop))?;
        patience::wait(AGREEING, || match replica.ask(&["INFO", "replication"])?.concat() {
            info if info.contains("master_link_status:up") => Ok(()),
            info => Err(info),
        })
    }
}

/// A node that knows no other, and the port of its bus.
fn node(options: &RedisOptions) -> (Redis, u16) {
    let bus = ports::free();
    let options = if options.has_tls { options.clone().set("tls-cluster", "yes").set("tls-replication", "yes") } else { options.clone() };
    let options = options
        .set("cluster-enabled", "yes")
        .set("cluster-port", &bus.to_string())
        .set("cluster-node-timeout", &NODE_TIMEOUT.as_millis().to_string());
    (Redis::launch(&options), bus)
}

fn is_covered(node: &Redis, count: usize) -> Result<(), String> {
    let info = node.ask(&["CLUSTER", "INFO"])?.concat();
    let expected = ["cluster_state:ok".to_owned(), format!("cluster_slots_ok:{SLOTS}"), format!("cluster_known_nodes:{count}")];
    match expected.iter().find(|line| !info.lines().any(|found| found == line.as_str())) {
        Some(line) => Err(format!("port {} does not say {line}: {info}", node.port())),
        None => Ok(()),
    }
}
