//! What can happen, in words that a person can follow and a test can check.

use std::fmt;

use longshore_core::{Crash, Failure, Fix, Message, row};

/// A published message as its broker keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: String,
    /// Its topic.
    pub topic: String,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its payload.
    pub payload: Option<Vec<u8>>,
    /// Names and values.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Stored {
    pub(crate) fn of(message: Message<'_, row::Headers<'_>>) -> Self {
        Stored {
            id: message.id.into(),
            topic: message.topic.into(),
            key: message.key.map(Into::into),
            payload: message.payload.map(Into::into),
            headers: message.headers.map(|(name, value)| (name.into(), value.into())).collect(),
        }
    }

    /// The value of the first header of that name, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).and_then(|(_, value)| std::str::from_utf8(value).ok())
    }
}

/// A habit that showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shows {
    /// What a lane had that ended without a word came again at once.
    AtOnce,
    /// A lease ran out.
    LeaseOver,
    /// Who reads alone got what another had left.
    Inherited,
    /// A retry waited longer than was asked.
    RoundedUp,
    /// What was finished came again, as that had not been kept yet.
    Rewound,
    /// A message went by unheard, or with the lane that had it.
    Forgotten,
}

/// What a handler answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How many were handled.
    pub handled: u32,
    /// Who of those failed.
    pub failures: Vec<(u32, Failure)>,
    /// Index of the message and payload of each output.
    pub outputs: Vec<(u32, Vec<u8>)>,
}

/// One event. Messages are named by their number in the log, lanes and calls by their number in the history, hosts by the test.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are explained by the variants")]
pub enum Event {
    /// A message was put into the log.
    Appended { message: u32, partition: u32, position: u64, key: Option<String> },
    /// A host got a lane.
    Assigned { lane: u32, host: u32, partition: u32 },
    /// A lane is taken away.
    Revoked { lane: u32, lost: bool },
    /// A lane ended: closed by its host, or dropped with it.
    LaneEnded { lane: u32, host: u32, closed: bool },
    /// A message was handed over.
    Fetched { lane: u32, host: u32, message: u32, attempt: u32, unanswered: u32, bytes: usize },
    /// A fetch failed.
    FetchFailed { lane: u32, fix: Fix },
    /// A handler was called with messages, each with its attempt.
    Called { host: u32, call: u32, messages: Vec<(u32, u32)> },
    /// It answered.
    Answered { host: u32, call: u32, answer: Result<Answer, Crash> },
    /// The call was let go before it answered.
    Abandoned { host: u32, call: u32 },
    /// A message was published, for good.
    Published { broker: String, message: Stored },
    /// A message was refused for good.
    Refused { broker: String, id: String },
    /// A publish was answered with an error.
    PublishFailed { broker: String, took_effect: bool },
    /// A settlement took effect: these messages ended, these come again (number, delay in milliseconds, attempt). `forgotten` were told as
    /// ended or sent away, and neither mark nor ranges cover them. `stale`: so many are not, or no more, the lane's.
    Settled { lane: u32, ended: Vec<u32>, again: Vec<(u32, u64, u32)>, forgotten: Vec<u32>, stale: usize },
    /// These messages are finished, and that is kept only later: should the lane end before, they come again.
    Noted { lane: u32, messages: Vec<u32> },
    /// A message went by, as nobody listened, or with the lane that had it.
    Forgotten { message: u32 },
    /// A settlement was answered with an error.
    SettleFailed { lane: u32, took_effect: bool },
    /// Leases were extended.
    Extended { lane: u32, messages: usize },
    /// A lease ran out.
    LeaseExpired { lane: u32, message: u32 },
    /// The broker did something that is a habit of its kind.
    Shown { habit: Shows },
    /// Something that the test itself did.
    Note(String),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Published { broker, message } => {
                let payload = String::from_utf8_lossy(message.payload.as_deref().unwrap_or_default());
                let reason = message.header(longshore_core::headers::DEAD_REASON).unwrap_or("-");
                write!(f, "Published {{ {broker}: {} {:?} {payload:?} dead: {reason} }}", message.topic, message.id)
            }
            Event::Answered { host, call, answer: Ok(answer) } => {
                let outputs = answer.outputs.len();
                write!(
                    f,
                    "Answered {{ host: {host}, call: {call}, handled: {}, {:?}, outputs: {outputs} }}",
                    answer.handled, answer.failures
                )
            }
            Event::Note(text) => write!(f, "-- {text}"),
            other => write!(f, "{other:?}"),
        }
    }
}
