//! The connections to one Redis: a pool for commands, opened when they are needed and again after a loss, and one more for each read that
//! waits. A command that was under way when its connection broke is not repeated here: it may have been executed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use longshore_core::{BoxFuture, BrokerError, Connect, Connection, Finding};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, RedisError, RedisResult, ScriptInvocation, Value};

use super::check;
use super::config::Config;
use super::errors::translate;
use super::place::{Patience, Place};

/// One Redis.
pub(super) struct Server {
    place: Place,
    /// The broker's name in the configuration.
    pub(super) name: String,
    pool: Vec<Slot>,
    next: AtomicUsize,
    connect_timeout: Duration,
    pub(super) response_timeout: Duration,
    /// What the answer to a read that waits may take beyond its wait.
    pub(super) io_timeout: Duration,
}

/// A place for one connection.
#[derive(Default)]
struct Slot {
    open: Mutex<Option<(u64, MultiplexedConnection)>>,
    /// Held by whoever connects, so that others wait for it in place of connecting too.
    opening: tokio::sync::Mutex<u64>,
}

/// A connection on loan.
struct Loan<'a> {
    slot: &'a Slot,
    number: u64,
    connection: MultiplexedConnection,
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
        let place = config.place(connect)?;
        let server = Server {
            place,
            name: connect.name.clone(),
            pool: (0..config.pool_size).map(|_| Slot::default()).collect(),
            next: AtomicUsize::new(0),
            connect_timeout: config.connect_timeout.get(),
            response_timeout: config.response_timeout.get(),
            io_timeout: config.io_timeout.get(),
        };
        server.ping().await?;
        Ok(server)
    }

    /// Runs one command.
    pub(super) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, BrokerError> {
        self.try_run(command).await.map_err(|e| self.error(&e))
    }

    /// The same with the server's own error.
    pub(super) async fn try_run<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let mut loan = self.borrow().await?;
        let answer = command.query_async(&mut loan.connection).await;
        self.give_back(loan, answer)
    }

    /// Runs a script, which is sent once to a server that does not know it, where a key of it is.
    pub(super) async fn call<T: FromRedisValue>(&self, _key: &str, script: &ScriptInvocation<'_>) -> RedisResult<T> {
        let mut loan = self.borrow().await?;
        let answer = script.invoke_async(&mut loan.connection).await;
        self.give_back(loan, answer)
    }

    /// Runs commands one after another, in one go, each with an answer of its own.
    #[cfg(any(feature = "redis-pubsub", feature = "redis-streams"))]
    pub(super) async fn pipeline(&self, pipeline: &redis::Pipeline, count: usize) -> RedisResult<Vec<Value>> {
        let mut loan = self.borrow().await?;
        let answer = redis::aio::ConnectionLike::req_packed_commands(&mut loan.connection, pipeline, 0, count).await;
        self.give_back(loan, answer)
    }

    /// A connection for reads that wait: no answer is late, and nobody else's command stands behind.
    pub(super) async fn connect_for_reading(&self, _key: &str) -> Result<MultiplexedConnection, BrokerError> {
        self.connect(None).await.map_err(|e| self.error(&e))
    }

    /// A connection for messages that the server sends by itself.
    #[cfg(feature = "redis-pubsub")]
    pub(super) async fn listen(&self, pushed: impl redis::aio::AsyncPushSender) -> Result<MultiplexedConnection, BrokerError> {
        let patience = Patience { connect: self.connect_timeout, response: Some(self.response_timeout) };
        self.place.listen(patience, pushed).await.map_err(|e| self.error(&e))
    }

    /// A broker's error for what the server said.
    pub(super) fn error(&self, error: &RedisError) -> BrokerError {
        translate(&self.place.shown, error)
    }

    /// The same when a connection is lost: the others probably are too.
    pub(super) fn lost(&self, error: &RedisError) -> BrokerError {
        self.forget();
        self.error(error)
    }

    async fn borrow(&self) -> RedisResult<Loan<'_>> {
        let slot = &self.pool[self.next.fetch_add(1, Ordering::Relaxed) % self.pool.len()];
        if let Some(loan) = slot.lend() {
            return Ok(loan);
        }
        let mut number = slot.opening.lock().await;
        if let Some(loan) = slot.lend() {
            return Ok(loan);
        }
        let connection = self.connect(Some(self.response_timeout)).await?;
        *number += 1;
        *slot.open.lock().unwrap_or_else(PoisonError::into_inner) = Some((*number, connection.clone()));
        Ok(Loan { slot, number: *number, connection })
    }

    /// Forgets the connections when one of them did not answer: whatever cut it has cut the others too, and opening one is cheap. Those
    /// that are in use go on.
    fn give_back<T>(&self, loan: Loan<'_>, answer: RedisResult<T>) -> RedisResult<T> {
        let lost = answer.as_ref().is_err_and(|e| e.is_io_error() || e.is_unrecoverable_error() || e.code() == Some("READONLY"));
        let is_newest = || loan.slot.open.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|(n, _)| *n == loan.number);
        if lost && is_newest() {
            self.forget();
        }
        answer
    }

    fn forget(&self) {
        for slot in &self.pool {
            slot.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    async fn connect(&self, response_timeout: Option<Duration>) -> RedisResult<MultiplexedConnection> {
        self.place.connect(Patience { connect: self.connect_timeout, response: response_timeout }).await
    }

    /// Says so where nothing stands behind a durable promise: that is the server's to keep.
    async fn warn_if_forgetful(&self) {
        let Ok(info) = self.try_run::<String>(redis::cmd("INFO").arg("persistence").arg("replication")).await else { return };
        let says = |line: &str| info.lines().any(|l| l.trim() == line);
        if says("aof_enabled:0") && says("connected_slaves:0") {
            tracing::warn!(
                broker = %self.name,
                "Redis at {} has neither an append-only file nor replicas: what it takes may be gone after its crash; set appendonly yes",
                self.place.shown
            );
        }
    }
}

impl Slot {
    fn lend(&self) -> Option<Loan<'_>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(|(number, connection)| Loan { slot: self, number: *number, connection: connection.clone() })
    }
}

impl Connection for Server {
    fn ping(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move { self.run::<Value>(&redis::cmd("PING")).await.map(drop) })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        // Each publish waited for its answer: there is nothing to flush.
        self.forget();
        Box::pin(std::future::ready(Ok(())))
    }

    fn check_server(&self) -> BoxFuture<'_, Result<Vec<Finding>, BrokerError>> {
        Box::pin(check::server(self))
    }
}
