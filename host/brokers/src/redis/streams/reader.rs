//! The task that reads new entries of one lane, on a connection of its own. It reads when it is asked and at no other time; a fetch that is
//! dropped leaves its answer here for the next.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::BrokerError;
use redis::{Cmd, RedisError, RedisResult, Value};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout};

use super::keys::LaneKeys;
use crate::redis::cluster::Reading;
use crate::redis::server::Server;

/// Questions under way: one.
const QUESTIONS: usize = 1;

/// What is asked.
struct Question {
    count: usize,
    /// How long the server waits for the first entry; `None`: not at all.
    block: Option<Duration>,
}

/// What the server answered, and when.
pub(super) struct Answer {
    pub(super) at: Instant,
    pub(super) value: Result<Value, RedisError>,
}

/// The reader, from the source's side.
pub(super) struct Reader {
    questions: mpsc::Sender<Question>,
    answers: mpsc::Receiver<Answer>,
    asked: bool,
    _task: JoinSet<()>,
}

impl Reader {
    /// Connects and begins. The handle ends it, and its connection with it.
    pub(super) async fn open(server: &Arc<Server>, keys: Arc<LaneKeys>) -> Result<(Self, AbortHandle), BrokerError> {
        let reading = server.connect_for_reading(&keys.topic).await?;
        let (questions, incoming) = mpsc::channel(QUESTIONS);
        let (outgoing, answers) = mpsc::channel(QUESTIONS);
        let mut task = JoinSet::new();
        let abort = task.spawn(run(server.clone(), reading, keys, incoming, outgoing));
        Ok((Reader { questions, answers, asked: false, _task: task }, abort))
    }

    /// Asks for entries, unless that is under way.
    pub(super) fn ask(&mut self, count: usize, block: Option<Duration>) {
        if !self.asked {
            self.asked = self.questions.try_send(Question { count, block }).is_ok();
        }
    }

    /// The answer, if it is there. Asked once, it will be.
    pub(super) fn ready(&mut self) -> Option<Answer> {
        let answer = self.answers.try_recv().ok()?;
        self.asked = false;
        Some(answer)
    }

    /// Whether an answer is still to come.
    pub(super) fn is_asked(&self) -> bool {
        self.asked
    }

    /// The answer. Cancel-safe. `None`: the reader was ended.
    pub(super) async fn answer(&mut self) -> Option<Answer> {
        let answer = self.answers.recv().await;
        self.asked = false;
        answer
    }
}

async fn run(
    server: Arc<Server>,
    mut reading: Reading,
    keys: Arc<LaneKeys>,
    mut questions: mpsc::Receiver<Question>,
    answers: mpsc::Sender<Answer>,
) {
    while let Some(question) = questions.recv().await {
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(&keys.group).arg(&keys.consumer).arg("COUNT").arg(question.count);
        if let Some(block) = question.block {
            // 0 would be for ever.
            command.arg("BLOCK").arg(u64::try_from(block.as_millis()).unwrap_or(u64::MAX).max(1));
        }
        command.arg("STREAMS").arg(&keys.topic).arg(">");
        let bound = question.block.unwrap_or_default() + server.io_timeout;
        let value = match timeout(bound, read(&server, &mut reading, &command)).await {
            Ok(value) => value,
            Err(_) => Err(std::io::Error::new(std::io::ErrorKind::TimedOut, format!("no answer to a read within {bound:?}")).into()),
        };
        if answers.send(Answer { at: Instant::now(), value }).await.is_err() {
            return;
        }
    }
}

/// A read that was told that the stream went while it waited asks once more: the stream may have gone to another node.
async fn read(server: &Server, reading: &mut Reading, command: &Cmd) -> RedisResult<Value> {
    match server.read(reading, command).await {
        Err(error) if error.to_string().contains("UNBLOCKED") => server.read(reading, command).await,
        answer => answer,
    }
}
