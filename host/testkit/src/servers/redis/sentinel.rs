//! A Redis master with a replica, and a sentinel that makes the one the other.

use std::time::Duration;

use super::{Redis, RedisOptions, Role};
use crate::servers::{patience, program};

/// How long replica and sentinel may take to be in step.
const AGREEING: Duration = Duration::from_secs(30);
/// After which a master that does not answer is down for the sentinel.
const DOWN: Duration = Duration::from_millis(500);

/// One master, one replica, one sentinel whose word alone is enough (quorum 1).
#[derive(Debug)]
pub struct RedisSentinel {
    /// The node that starts as the master.
    pub master: Redis,
    /// The node that starts as its replica.
    pub replica: Redis,
    /// What clients ask for the master.
    pub sentinel: Redis,
}

impl RedisSentinel {
    /// What the sentinel calls the master.
    pub const NAME: &str = "main";

    /// Starts them with these options on both nodes, and waits until the replica is in step and the sentinel knows it. `None`: not
    /// installed, skip the test. A password must be the same on both: say `set("masterauth", …)` too.
    ///
    /// # Panics
    /// When it does not start, or is missing in continuous integration.
    pub fn start(options: &RedisOptions) -> Option<RedisSentinel> {
        program::REDIS.or_skip(options.disk.is_some())?;
        let master = Redis::launch(options);
        let replica = Redis::launch(&options.clone().set("replicaof", &format!("127.0.0.1 {}", master.port())));
        let sentinel = Redis::launch(&watching(master.port()));
        let all = RedisSentinel { master, replica, sentinel };
        let ready = patience::wait(AGREEING, || all.is_in_step());
        ready.unwrap_or_else(|why| panic!("the sentinel is not ready: {why}"));
        Some(all)
    }

    /// The port of the master as the sentinel sees it now: after the master's end that of the replica, in about a second.
    ///
    /// # Panics
    /// When the sentinel does not answer.
    pub fn master_port(&self) -> u16 {
        let address = self.sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::NAME]).expect("a sentinel that runs");
        address.last().and_then(|port| port.parse().ok()).expect("host and port")
    }

    fn is_in_step(&self) -> Result<(), String> {
        let replicas = self.sentinel.ask(&["SENTINEL", "REPLICAS", Self::NAME])?;
        let says = |name: &str, value: &str| replicas.windows(2).any(|pair| pair[0] == name && pair[1] == value);
        match says("port", &self.replica.port().to_string()) && says("flags", "slave") && says("master-link-status", "ok") {
            true => Ok(()),
            false => Err(format!("it says of its replicas: {replicas:?}")),
        }
    }
}

fn watching(master: u16) -> RedisOptions {
    let (name, down) = (RedisSentinel::NAME, DOWN.as_millis());
    let options = RedisOptions { role: Role::Sentinel, ..RedisOptions::default() };
    options
        .set("sentinel", &format!("monitor {name} 127.0.0.1 {master} 1"))
        .set("sentinel", &format!("down-after-milliseconds {name} {down}"))
        .set("sentinel", &format!("failover-timeout {name} {}", 10 * down))
}
