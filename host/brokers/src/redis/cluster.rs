//! The nodes of a Redis Cluster, and who of them is asked: whoever has the slot of a key. A node that has it no longer says who does; that is
//! followed, since nothing was executed. Whatever else a node answers is the caller's, and the engine decides about trying again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::BrokerError;
use redis::{Cmd, ConnectionInfo, RedisError, RedisResult, ScriptInvocation, TlsCertificates, Value};
use tokio::time::Instant;

use super::place::{Patience, Place, gone};
use super::pool::{Apart, Pool, ask, is_loss};
use super::slots::{Address, Slots, slot};

/// How often one request is sent on. Nodes that disagree for longer are the next attempt's.
const HOPS: usize = 5;

/// What every node has in common.
pub(super) struct Nodes {
    /// Some of the nodes, from which the others are learnt.
    pub(super) seeds: Vec<Address>,
    /// Everything but the address.
    pub(super) info: ConnectionInfo,
    pub(super) certificates: TlsCertificates,
}

/// A cluster.
pub(super) struct Cluster {
    nodes: Nodes,
    pool_size: usize,
    patience: Patience,
    known: Mutex<Known>,
    /// Held by whoever learns, so that others wait for it in place of asking too.
    learning: tokio::sync::Mutex<()>,
}

/// What is known of the nodes.
struct Known {
    slots: Slots,
    /// When the table was learnt. None where it may be old: a node did not answer, or a slot has moved.
    learnt_at: Option<Instant>,
    /// Whom to ask, in order: who answered last before all, who did not after all.
    tellers: Vec<Address>,
    pools: HashMap<Address, Arc<Pool>>,
}

/// How old the table may be for who wants to hear every node.
const OLD: Duration = Duration::from_secs(10);

/// What is sent to the node that has a key.
#[derive(Clone, Copy)]
pub(super) enum Request<'a> {
    Command(&'a Cmd),
    Script(&'a ScriptInvocation<'a>),
}

/// Where a request goes.
struct Way {
    address: Address,
    pool: Arc<Pool>,
    /// Whether the key is only on its way there.
    asking: bool,
}

/// A connection for reads that wait.
pub(super) struct Reading {
    pub(super) to: Apart,
    /// The node of a cluster that it goes to.
    at: Option<Address>,
}

impl Reading {
    /// One that goes to the only server.
    pub(super) fn fixed(to: Apart) -> Self {
        Reading { to, at: None }
    }
}

impl Cluster {
    /// A cluster that is asked when it is needed.
    pub(super) fn new(nodes: Nodes, pool_size: usize, patience: Patience) -> Self {
        let known = Known { slots: Slots::default(), learnt_at: None, tellers: nodes.seeds.clone(), pools: HashMap::new() };
        Cluster { nodes, pool_size, patience, known: Mutex::new(known), learning: tokio::sync::Mutex::default() }
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        let over = if matches!(self.nodes.info.addr(), redis::ConnectionAddr::TcpTls { .. }) { " over TLS" } else { "" };
        let seeds = self.nodes.seeds.iter().map(Address::to_string).collect::<Vec<_>>();
        format!("the cluster of {}{over}", seeds.join(", "))
    }

    /// Runs a request where the key is; any node has the empty one.
    pub(super) async fn run(&self, key: &str, request: Request<'_>) -> RedisResult<Value> {
        let way = self.way(key).await?;
        self.run_along(way, request).await
    }

    async fn run_along(&self, mut way: Way, request: Request<'_>) -> RedisResult<Value> {
        let mut hops = 0;
        loop {
            let answer = match request {
                Request::Command(command) if way.asking => way.pool.run_asking(command).await,
                Request::Command(command) => way.pool.run(command).await,
                Request::Script(script) => way.pool.call(script).await,
            };
            let Err(error) = answer else { return answer };
            hops += 1;
            way = match self.elsewhere(&way.address, &error) {
                // A script needs keys of which some are still where it came from.
                Some(next) if hops < HOPS && !(next.asking && matches!(request, Request::Script(_))) => next,
                _ => return Err(error),
            };
        }
    }

    /// Runs commands, each with its key: those of a node in one go, the nodes side by side. Answers stand in the order of the commands.
    pub(super) async fn pipeline(&self, commands: &[(&str, Cmd)]) -> Vec<RedisResult<Value>> {
        let mut answers: Vec<RedisResult<Value>> = Vec::with_capacity(commands.len());
        let mut groups: Vec<(Way, Vec<usize>)> = Vec::new();
        for (n, (key, _)) in commands.iter().enumerate() {
            let way = self.way(key).await;
            answers.push(way.as_ref().map(|_| Value::Nil).map_err(RedisError::clone));
            let Ok(way) = way else { continue };
            match groups.iter_mut().find(|(known, _)| known.address == way.address) {
                Some((_, members)) => members.push(n),
                None => groups.push((way, vec![n])),
            }
        }
        let ran = futures::future::join_all(groups.iter().map(|(way, members)| self.run_group(way, commands, members))).await;
        for (n, answer) in ran.into_iter().flatten() {
            answers[n] = answer;
        }
        answers
    }

    /// Runs commands of one node. What moved meanwhile is followed in their order.
    async fn run_group(&self, way: &Way, commands: &[(&str, Cmd)], members: &[usize]) -> Vec<(usize, RedisResult<Value>)> {
        let mut pipeline = redis::Pipeline::with_capacity(members.len());
        for n in members {
            pipeline.add_command(commands[*n].1.clone());
        }
        let values = match way.pool.pipeline(&pipeline, members.len()).await {
            Ok(values) => values,
            Err(error) => {
                self.elsewhere(&way.address, &error);
                return members.iter().map(|n| (*n, Err(error.clone()))).collect();
            }
        };
        let mut answers = Vec::with_capacity(members.len());
        for (n, value) in members.iter().zip(values) {
            let answer = match value.extract_error() {
                Err(error) => match self.elsewhere(&way.address, &error) {
                    Some(next) => self.run_along(next, Request::Command(&commands[*n].1)).await,
                    None => Err(error),
                },
                good => good,
            };
            answers.push((*n, answer));
        }
        answers
    }

    /// A connection for reads that wait, to where the key is.
    pub(super) async fn connect_for_reading(&self, key: &str) -> RedisResult<Reading> {
        let way = self.way(key).await?;
        match way.pool.connect_for_reading().await {
            Ok(to) => Ok(Reading { to, at: Some(way.address) }),
            Err(error) => {
                self.elsewhere(&way.address, &error);
                Err(error)
            }
        }
    }

    /// Runs a read that waits over its connection, which is another once the key is elsewhere.
    pub(super) async fn read(&self, reading: &mut Reading, command: &Cmd) -> RedisResult<Value> {
        let mut answer = command.query_async(&mut reading.to.connection).await;
        for _ in 0..HOPS {
            let (Err(error), Some(at)) = (&answer, &reading.at) else { break };
            let Some(way) = self.elsewhere(at, error) else { break };
            *reading = Reading { to: way.pool.connect_for_reading().await?, at: Some(way.address) };
            let connection = &mut reading.to.connection;
            answer = if way.asking { ask(connection, command).await } else { command.query_async(connection).await };
        }
        answer
    }

    /// A connection for messages that any node sends by itself.
    #[cfg(feature = "redis-pubsub")]
    pub(super) async fn listen(&self, pushed: impl redis::aio::AsyncPushSender) -> RedisResult<Apart> {
        let way = self.way("").await?;
        let connection = way.pool.listen(pushed).await;
        if let Err(error) = &connection {
            self.elsewhere(&way.address, error);
        }
        connection
    }

    /// Every node that has slots.
    pub(super) async fn masters(&self) -> RedisResult<Vec<Arc<Pool>>> {
        {
            // A node that was added and has no slot of a key that is used sends nobody elsewhere.
            let mut known = self.known();
            known.learnt_at = known.learnt_at.filter(|at| at.elapsed() <= OLD);
        }
        self.learn().await?;
        let masters = self.known().slots.masters();
        masters.iter().map(|address| self.pool(address)).collect()
    }

    /// Connections that are open, to all nodes.
    pub(super) fn connections(&self) -> usize {
        self.known().pools.values().map(|pool| pool.connections()).sum()
    }

    /// The table may be old, and connections too.
    pub(super) fn forget(&self) {
        let mut known = self.known();
        known.learnt_at = None;
        known.pools.values().for_each(|pool| pool.forget());
    }

    async fn way(&self, key: &str) -> RedisResult<Way> {
        self.learn().await?;
        let owner = {
            let known = self.known();
            if key.is_empty() { known.tellers.first().cloned() } else { known.slots.owner(slot(key)).cloned() }
        };
        let address = owner.ok_or_else(|| {
            self.known().learnt_at = None;
            gone(format!("no node of the cluster has the slot of {key:?}"))
        })?;
        Ok(Way { pool: self.pool(&address)?, address, asking: false })
    }

    /// Where an error sends to, and what it tells of the nodes.
    fn elsewhere(&self, from: &Address, error: &RedisError) -> Option<Way> {
        let Some((to, slot)) = error.redirect_node() else {
            if is_loss(error) || error.code() == Some("CLUSTERDOWN") {
                let mut known = self.known();
                known.learnt_at = None;
                known.doubt(from);
            }
            return None;
        };
        let (address, asking) = (Address::read(to, &from.host).filter(|address| !address.host.is_empty())?, error.code() == Some("ASK"));
        if !asking {
            let mut known = self.known();
            known.slots.give(usize::from(slot) % super::slots::SLOTS, &address);
            // One slot that moved is seldom the only one, and who has it may be new.
            known.learnt_at = None;
        }
        Some(Way { pool: self.pool(&address).ok()?, address, asking })
    }

    /// Learns who has which slot, where that may have changed.
    async fn learn(&self) -> RedisResult<()> {
        if self.known().learnt_at.is_some() {
            return Ok(());
        }
        let _turn = self.learning.lock().await;
        let tellers = {
            let known = self.known();
            if known.learnt_at.is_some() {
                return Ok(());
            }
            // Nodes that a request was sent to are known by their slots alone.
            let others = known.slots.masters().into_iter().filter(|master| !known.tellers.contains(master));
            known.tellers.iter().cloned().chain(others).collect::<Vec<_>>()
        };
        let mut trouble = gone("no node of the cluster was asked".into());
        for address in tellers {
            match self.pool(&address)?.run::<Value>(redis::cmd("CLUSTER").arg("SLOTS")).await {
                Ok(answer) => {
                    let slots = Slots::read(&answer, &address.host);
                    if slots.masters().is_empty() {
                        trouble = gone(format!("the node at {address} knows of no slots: the cluster is not made yet"));
                        continue;
                    }
                    self.known().learnt(slots, address, &self.nodes.seeds);
                    return Ok(());
                }
                Err(error) => {
                    self.known().doubt(&address);
                    trouble = error;
                }
            }
        }
        Err(trouble)
    }

    fn pool(&self, address: &Address) -> RedisResult<Arc<Pool>> {
        let mut known = self.known();
        if let Some(pool) = known.pools.get(address) {
            return Ok(pool.clone());
        }
        let place = Place::at(&self.nodes.info, address, &self.nodes.certificates).map_err(|e: BrokerError| gone(e.what))?;
        let pool = Arc::new(Pool::new(place, self.pool_size, self.patience));
        known.pools.insert(address.clone(), pool.clone());
        Ok(pool)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn learnt(&mut self, slots: Slots, teller: Address, seeds: &[Address]) {
        let others = slots.masters().into_iter().chain(seeds.iter().cloned());
        self.tellers = vec![teller];
        for other in others {
            if !self.tellers.contains(&other) {
                self.tellers.push(other);
            }
        }
        let tellers = &self.tellers;
        self.pools.retain(|address, _| tellers.contains(address));
        (self.slots, self.learnt_at) = (slots, Some(Instant::now()));
    }

    /// Somebody who did not answer is asked last.
    fn doubt(&mut self, address: &Address) {
        if let Some(at) = self.tellers.iter().position(|teller| teller == address) {
            let address = self.tellers.remove(at);
            self.tellers.push(address);
        }
    }
}
