//! The connections to one Redis, be it a server or the nodes of a cluster: pools for commands, opened when they are needed and again after a
//! loss, and one more for each read that waits. A command that was under way when its connection broke is not repeated here: it may have
//! been executed.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{BoxFuture, BrokerError, Connect, Connection, Finding};
use redis::{Cmd, FromRedisValue, RedisError, RedisResult, ScriptInvocation, Value, from_redis_value};
#[cfg(feature = "redis-streams")]
use redis::{ErrorKind, Pipeline};

use super::check;
use super::cluster::{Cluster, Reading, Request};
use super::config::{Config, Named};
use super::errors::translate;
use super::place::Patience;
#[cfg(feature = "redis-pubsub")]
use super::pool::Apart;
use super::pool::{Pool, is_loss};
use super::slots::slot;

/// One Redis.
pub(super) struct Server {
    nodes: Nodes,
    /// The broker's name in the configuration.
    pub(super) name: String,
    /// Where it is, for people.
    shown: String,
    /// Who we are, where one server is to know us; else empty.
    user: String,
    #[cfg_attr(not(feature = "redis-pubsub"), expect(dead_code, reason = "only a lane of channels asks for signs of life"))]
    pub(super) response_timeout: Duration,
    /// What the answer to a read that waits may take beyond its wait.
    pub(super) io_timeout: Duration,
    /// How long a command may be on its way until it is given up.
    #[cfg_attr(not(feature = "redis-streams"), expect(dead_code, reason = "only a lane of streams looks at its lease by the clock"))]
    pub(super) on_its_way: Duration,
}

enum Nodes {
    One(Arc<Pool>),
    Cluster(Box<Cluster>),
}

impl Server {
    /// Connects, once, to a server that is to keep what it is given.
    #[cfg(any(feature = "redis-list", feature = "redis-streams"))]
    pub(super) async fn open(config: &Config, connect: &Connect) -> Result<Self, BrokerError> {
        let server = Server::reach(config, connect).await?;
        server.warn_if_forgetful().await;
        Ok(server)
    }

    /// Connects, once.
    pub(super) async fn reach(config: &Config, connect: &Connect) -> Result<Self, BrokerError> {
        let (response_timeout, io_timeout) = (config.response_timeout.get(), config.io_timeout.get());
        let patience = Patience { connect: config.connect_timeout.get(), response: Some(response_timeout) };
        let (shown, nodes) = match config.named(connect)? {
            Named::One(place) => (place.shown.clone(), Nodes::One(Arc::new(Pool::new(place, config.pool_size, patience)))),
            Named::Cluster(nodes) => {
                let cluster = Cluster::new(nodes, config.pool_size, patience);
                (cluster.shown(), Nodes::Cluster(Box::new(cluster)))
            }
        };
        let on_its_way = patience.connect + response_timeout;
        let (name, user) = (connect.name.clone(), config.user());
        let server = Server { nodes, name, shown, user, response_timeout, io_timeout, on_its_way };
        server.ping().await?;
        Ok(server)
    }

    /// Whether it is a cluster, where keys of two topics may be on two nodes.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.nodes, Nodes::Cluster(_))
    }

    /// Whether no script can have both keys.
    pub(super) fn are_apart(&self, key: &str, other: &str) -> bool {
        self.is_cluster() && slot(key) != slot(other)
    }

    /// Runs one command on a key.
    #[cfg(feature = "redis-streams")]
    pub(super) async fn run<T: FromRedisValue>(&self, key: &str, command: &Cmd) -> Result<T, BrokerError> {
        self.try_run(key, command).await.map_err(|e| self.error(&e))
    }

    /// The same with the server's own error.
    pub(super) async fn try_run<T: FromRedisValue>(&self, key: &str, command: &Cmd) -> RedisResult<T> {
        match &self.nodes {
            Nodes::One(pool) => pool.run(command).await,
            Nodes::Cluster(cluster) => Ok(from_redis_value(cluster.run(key, Request::Command(command)).await?)?),
        }
    }

    /// Runs a script, which is sent once to a server that does not know it, where a key of it is.
    pub(super) async fn call<T: FromRedisValue>(&self, key: &str, script: &ScriptInvocation<'_>) -> RedisResult<T> {
        match &self.nodes {
            Nodes::One(pool) => pool.call(script).await,
            Nodes::Cluster(cluster) => Ok(from_redis_value(cluster.run(key, Request::Script(script)).await?)?),
        }
    }

    /// Runs commands one after another, in one go, each on its key and with an answer of its own.
    pub(super) async fn pipeline(&self, commands: Vec<(&str, Cmd)>) -> Vec<RedisResult<Value>> {
        let pool = match &self.nodes {
            Nodes::One(pool) => pool,
            Nodes::Cluster(cluster) => return cluster.pipeline(&commands).await,
        };
        let count = commands.len();
        let mut pipeline = redis::Pipeline::with_capacity(count);
        for (_, command) in commands {
            pipeline.add_command(command);
        }
        match pool.pipeline(&pipeline, count).await {
            Ok(values) => values.into_iter().map(Value::extract_error).collect(),
            Err(error) => vec![Err(error); count],
        }
    }

    /// Runs commands in one transaction, on a server that is no cluster. Answers what each said, errors included.
    #[cfg(feature = "redis-streams")]
    pub(super) async fn transaction(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        match &self.nodes {
            Nodes::One(pool) => pool.transaction(commands).await,
            Nodes::Cluster(_) => Err((ErrorKind::InvalidClientConfig, "a cluster has no one server").into()),
        }
    }

    /// Whether it runs transactions for this user: without the right to, it runs one by one what was to stand in one.
    #[cfg(feature = "redis-streams")]
    pub(super) async fn has_transactions(&self) -> Result<bool, BrokerError> {
        let Nodes::One(pool) = &self.nodes else { return Ok(false) };
        let mut empty = Pipeline::new();
        empty.cmd("MULTI").cmd("EXEC");
        let answers = pool.pipeline(&empty, 2).await.map_err(|e| self.error(&e))?;
        Ok(!answers.iter().any(|answer| matches!(answer, Value::ServerError(_))))
    }

    /// A connection for reads of a key that wait: no answer is late, and nobody else's command stands behind.
    pub(super) async fn connect_for_reading(&self, key: &str) -> Result<Reading, BrokerError> {
        let reading = match &self.nodes {
            Nodes::One(pool) => pool.connect_for_reading().await.map(Reading::fixed),
            Nodes::Cluster(cluster) => cluster.connect_for_reading(key).await,
        };
        reading.map_err(|e| self.error(&e))
    }

    /// Runs a read that waits.
    pub(super) async fn read(&self, reading: &mut Reading, command: &Cmd) -> RedisResult<Value> {
        match &self.nodes {
            Nodes::One(_) => command.query_async(&mut reading.to.connection).await,
            Nodes::Cluster(cluster) => cluster.read(reading, command).await,
        }
    }

    /// A connection for messages that the server sends by itself. In a cluster any node does: what is published goes to all.
    #[cfg(feature = "redis-pubsub")]
    pub(super) async fn listen(&self, pushed: impl redis::aio::AsyncPushSender) -> Result<Apart, BrokerError> {
        let connection = match &self.nodes {
            Nodes::One(pool) => pool.listen(pushed).await,
            Nodes::Cluster(cluster) => cluster.listen(pushed).await,
        };
        connection.map_err(|e| self.error(&e))
    }

    /// The servers that have keys.
    pub(super) async fn masters(&self) -> RedisResult<Vec<Arc<Pool>>> {
        match &self.nodes {
            Nodes::One(pool) => Ok(vec![pool.clone()]),
            Nodes::Cluster(cluster) => cluster.masters().await,
        }
    }

    /// A broker's error for what the server said.
    pub(super) fn error(&self, error: &RedisError) -> BrokerError {
        translate(&self.shown, &self.user, error)
    }

    /// The same when a connection is lost: the others probably are too.
    pub(super) fn lost(&self, error: &RedisError) -> BrokerError {
        self.forget();
        self.error(error)
    }

    /// A broker's error for what one node said that was asked by itself.
    pub(super) fn node_error(&self, error: &RedisError) -> BrokerError {
        if self.is_cluster() && is_loss(error) { self.lost(error) } else { self.error(error) }
    }

    fn forget(&self) {
        match &self.nodes {
            Nodes::One(pool) => pool.forget(),
            Nodes::Cluster(cluster) => cluster.forget(),
        }
    }

    async fn ping_all(&self) -> Result<(), BrokerError> {
        let (masters, ping) = (self.masters().await.map_err(|e| self.error(&e))?, redis::cmd("PING"));
        let pinged = futures::future::try_join_all(masters.iter().map(|node| node.run::<Value>(&ping))).await;
        pinged.map(drop).map_err(|e| self.node_error(&e))
    }

    /// Says so where nothing stands behind a durable promise: that is the server's to keep.
    async fn warn_if_forgetful(&self) {
        let Ok(masters) = self.masters().await else { return };
        for node in masters {
            let Ok(info) = node.run::<String>(redis::cmd("INFO").arg("persistence").arg("replication")).await else { continue };
            let says = |line: &str| info.lines().any(|l| l.trim() == line);
            if says("aof_enabled:0") && says("connected_slaves:0") {
                tracing::warn!(
                    broker = %self.name,
                    "Redis at {} has neither an append-only file nor replicas: what it takes may be gone after its crash; set appendonly yes",
                    node.place.shown
                );
            }
        }
    }
}

impl Connection for Server {
    fn ping(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(self.ping_all())
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        // Each publish waited for its answer: there is nothing to flush.
        self.forget();
        Box::pin(std::future::ready(Ok(())))
    }

    fn connections(&self) -> Option<u64> {
        let open = match &self.nodes {
            Nodes::One(pool) => pool.connections(),
            Nodes::Cluster(cluster) => cluster.connections(),
        };
        Some(open as u64)
    }

    fn check_server(&self) -> BoxFuture<'_, Result<Vec<Finding>, BrokerError>> {
        Box::pin(check::server(self))
    }
}
