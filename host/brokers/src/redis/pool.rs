//! Connections for commands to one server: opened when they are needed, and again after a loss. A command that was under way when its
//! connection broke is not repeated here: it may have been executed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, ScriptInvocation, Value};

use super::place::{Patience, Place};

/// Connections to one server.
pub(super) struct Pool {
    pub(super) place: Place,
    slots: Vec<Slot>,
    next: AtomicUsize,
    patience: Patience,
    /// Cloned into each connection besides those for commands.
    apart: Arc<()>,
}

/// A connection for one purpose, counted as long as it is held.
pub(super) struct Apart {
    pub(super) connection: MultiplexedConnection,
    _counted: Arc<()>,
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

impl Pool {
    /// At most so many connections, none of them open yet.
    pub(super) fn new(place: Place, size: usize, patience: Patience) -> Self {
        Pool { place, slots: (0..size).map(|_| Slot::default()).collect(), next: AtomicUsize::new(0), patience, apart: Arc::default() }
    }

    /// Runs one command.
    pub(super) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let mut loan = self.borrow().await?;
        let answer = command.query_async(&mut loan.connection).await;
        self.give_back(loan, answer)
    }

    /// Runs a script, which is sent once to a server that does not know it.
    pub(super) async fn call<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> RedisResult<T> {
        let mut loan = self.borrow().await?;
        let answer = script.invoke_async(&mut loan.connection).await;
        self.give_back(loan, answer)
    }

    /// Runs commands one after another, in one go, each with an answer of its own.
    pub(super) async fn pipeline(&self, pipeline: &Pipeline, count: usize) -> RedisResult<Vec<Value>> {
        let mut loan = self.borrow().await?;
        let answer = loan.connection.req_packed_commands(pipeline, 0, count).await;
        self.give_back(loan, answer)
    }

    /// Runs commands in one transaction. Answers what each said, errors included.
    #[cfg(feature = "redis-streams")]
    pub(super) async fn transaction(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        let mut loan = self.borrow().await?;
        // What is answered to MULTI, and to each command that is put into line, is passed over.
        let answer = loan.connection.req_packed_commands(commands, commands.len() + 1, 1).await;
        let answer = answer.and_then(|answers| match answers.into_iter().next() {
            Some(Value::Array(answers)) => Ok(answers),
            Some(Value::ServerError(error)) => Err(error.into()),
            _ => Ok(Vec::new()),
        });
        self.give_back(loan, answer)
    }

    /// Runs one command on a key that is on its way to this node.
    pub(super) async fn run_asking(&self, command: &Cmd) -> RedisResult<Value> {
        let mut loan = self.borrow().await?;
        let answer = ask(&mut loan.connection, command).await;
        self.give_back(loan, answer)
    }

    /// A connection for reads that wait: no answer is late, and nobody else's command stands behind.
    pub(super) async fn connect_for_reading(&self) -> RedisResult<Apart> {
        let connection = self.place.connect(Patience { response: None, ..self.patience }).await?;
        Ok(Apart { connection, _counted: Arc::clone(&self.apart) })
    }

    /// A connection for messages that the server sends by itself.
    #[cfg(feature = "redis-pubsub")]
    pub(super) async fn listen(&self, pushed: impl redis::aio::AsyncPushSender) -> RedisResult<Apart> {
        let connection = self.place.listen(self.patience, pushed).await?;
        Ok(Apart { connection, _counted: Arc::clone(&self.apart) })
    }

    /// Connections that are open.
    pub(super) fn connections(&self) -> usize {
        let open = |slot: &&Slot| slot.open.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        self.slots.iter().filter(open).count() + Arc::strong_count(&self.apart) - 1
    }

    async fn borrow(&self) -> RedisResult<Loan<'_>> {
        let slot = &self.slots[self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len()];
        if let Some(loan) = slot.lend() {
            return Ok(loan);
        }
        let mut number = slot.opening.lock().await;
        if let Some(loan) = slot.lend() {
            return Ok(loan);
        }
        let connection = self.place.connect(self.patience).await?;
        *number += 1;
        *slot.open.lock().unwrap_or_else(PoisonError::into_inner) = Some((*number, connection.clone()));
        Ok(Loan { slot, number: *number, connection })
    }

    /// Forgets the connections when one of them did not answer: whatever cut it has cut the others too, and opening one is cheap. Those
    /// that are in use go on.
    fn give_back<T>(&self, loan: Loan<'_>, answer: RedisResult<T>) -> RedisResult<T> {
        let lost = answer.as_ref().is_err_and(is_loss);
        let is_newest = || loan.slot.open.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|(n, _)| *n == loan.number);
        if lost && is_newest() {
            self.forget();
        }
        answer
    }

    /// Whoever needs a connection opens another.
    pub(super) fn forget(&self) {
        for slot in &self.slots {
            slot.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}

impl Slot {
    fn lend(&self) -> Option<Loan<'_>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(|(number, connection)| Loan { slot: self, number: *number, connection: connection.clone() })
    }
}

/// Whether an error says that a connection is of no use any more.
pub(super) fn is_loss(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error() || error.code() == Some("READONLY")
}

/// Runs a command on a key that is on its way to this node: the permission is for the next command alone, so both go in one piece.
pub(super) async fn ask(connection: &mut MultiplexedConnection, command: &Cmd) -> RedisResult<Value> {
    let mut pipeline = Pipeline::with_capacity(2);
    pipeline.cmd("ASKING").add_command(command.clone());
    let answers = connection.req_packed_commands(&pipeline, 1, 1).await?;
    answers.into_iter().next().unwrap_or(Value::Nil).extract_error()
}
