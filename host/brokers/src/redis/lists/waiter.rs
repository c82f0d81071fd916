//! The task that waits for messages of one lane, on a connection of its own that it opens when it needs one. Waiting moves one message to
//! where anybody of the queue takes it first, so nothing is in the hands of a waiter, and a wait that breaks off loses nothing.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::BrokerError;
use redis::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::keys::LaneKeys;
use super::roles::Shared;
use crate::redis::cluster::Reading;

type Result<T> = std::result::Result<T, BrokerError>;

/// Waits under way: one.
const WAITS: usize = 1;

/// The waiter, from the source's side.
pub(super) struct Waiter {
    questions: mpsc::Sender<Duration>,
    answers: mpsc::Receiver<Result<bool>>,
    asked: bool,
    _task: JoinSet<()>,
}

impl Waiter {
    pub(super) fn new(shared: Arc<Shared>, keys: Arc<LaneKeys>) -> Self {
        let (questions, incoming) = mpsc::channel(WAITS);
        let (outgoing, answers) = mpsc::channel(WAITS);
        let mut task = JoinSet::new();
        task.spawn(run(shared, keys, incoming, outgoing));
        Waiter { questions, answers, asked: false, _task: task }
    }

    /// Waits, at most that long, unless that is under way; says whether something came. Cancel-safe.
    pub(super) async fn wait(&mut self, longest: Duration) -> Result<bool> {
        if !self.asked {
            self.asked = self.questions.try_send(longest).is_ok();
        }
        let answer = self.answers.recv().await;
        self.asked = false;
        answer.unwrap_or_else(|| Err(BrokerError::reconnect("the lane's waiter is gone")))
    }
}

async fn run(shared: Arc<Shared>, keys: Arc<LaneKeys>, mut questions: mpsc::Receiver<Duration>, answers: mpsc::Sender<Result<bool>>) {
    let mut reading = None;
    while let Some(longest) = questions.recv().await {
        let answer = wait(&shared, &keys, longest, &mut reading).await;
        if answer.is_err() {
            reading = None;
        }
        if answers.send(answer).await.is_err() {
            return;
        }
    }
}

async fn wait(shared: &Shared, keys: &LaneKeys, longest: Duration, reading: &mut Option<Reading>) -> Result<bool> {
    let server = &shared.server;
    let reading = match reading {
        Some(reading) => reading,
        None => reading.insert(server.connect_for_reading(&keys.topic).await?),
    };
    // In seconds; 0 would be for ever.
    let seconds = longest.max(Duration::from_millis(1)).as_secs_f64();
    let mut command = redis::cmd("BLMOVE");
    command.arg(&keys.topic).arg(&keys.landed).arg("RIGHT").arg("LEFT").arg(seconds);
    let bound = longest + server.io_timeout;
    match timeout(bound, server.read(reading, &command)).await {
        Ok(Ok(value)) => Ok(value != Value::Nil),
        Ok(Err(error)) => Err(server.lost(&error)),
        Err(_) => {
            let error = std::io::Error::new(std::io::ErrorKind::TimedOut, format!("no answer to a wait within {bound:?}"));
            Err(server.lost(&error.into()))
        }
    }
}
