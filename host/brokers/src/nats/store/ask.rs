//! Asking the server: each question is answered, refused in passing, or in vain because the connection is lost.

use async_nats::client::{Request, RequestError, RequestErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::{HeaderMap, StatusCode};
use longshore_core::StoreError;
use serde::Deserialize;

use super::Server;
use crate::nats::jetstream::api::Said;
use crate::nats::link::with_causes;

/// The subject has another last sequence than was expected.
const CHANGED: [u64; 2] = [10071, 10164];
/// The message is larger than the stream takes.
const LARGE: u64 = 10054;
/// The stream is full, by bytes or messages.
const FULL: u64 = 10077;
/// There is no message of that subject; no such stream.
const NO_MESSAGE: u64 = 10037;
const NO_STREAM: u64 = 10059;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// No stream takes that now. Nothing was done.
    NoStream,
    /// Anything else.
    Told(StoreError),
}

/// What came of writing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrote {
    /// It is kept, with that sequence.
    Done(u64),
    /// Somebody else was faster; nothing was written.
    Changed,
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Failed::Told(error)
    }
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::NoStream => {
                StoreError::Unavailable("the stream of the bucket does not answer: it is gone, or the server is starting".into())
            }
            Failed::Told(error) => error,
        }
    }
}

/// What JetStream's API said, as a store's error.
pub(super) fn told(said: Said) -> StoreError {
    match said {
        Said::Trouble(words) => StoreError::Unavailable(words),
        Said::Missing(words) | Said::Refused(words) | Said::Denied(words) => StoreError::Other(words),
    }
}

impl Server {
    /// What `asking` answers, of which `subject` is what the user needs a right for.
    pub(super) async fn answered<T>(&self, subject: &str, asking: impl Future<Output = T>) -> Result<T, StoreError> {
        let heard = &self.link.heard;
        let losses = heard.losses();
        if !self.link.is_up() {
            return Err(StoreError::Unavailable("not connected to NATS; trying to connect".into()));
        }
        tokio::select! {
            answer = asking => Ok(answer),
            why = heard.until_silent(subject) => Err(StoreError::Other(why)),
            () = heard.until_lost(losses) => {
                Err(StoreError::Unavailable("the connection to NATS was lost; what was asked for may have been done".into()))
            }
        }
    }

    /// The last message of a subject from whichever server has it.
    pub(super) async fn read_any(&self, stream: &str, subject: &str) -> Result<Option<StreamMessage>, Failed> {
        let whole = format!("{}.DIRECT.GET.{stream}.{subject}", self.js.prefix);
        let answer = match self.answered(&whole, self.link.client.request(whole.clone(), Vec::new().into())).await? {
            Ok(answer) => answer,
            Err(error) => return Err(failed(&error)),
        };
        match answer.status {
            Some(StatusCode::NOT_FOUND) => Ok(None),
            Some(status) if status != StatusCode::OK => {
                let words = answer.description.unwrap_or_default();
                Err(StoreError::Unavailable(format!("NATS answers {status} {words} to {whole:?}")).into())
            }
            _ => StreamMessage::try_from(answer).map(Some).map_err(|error| foreign(&error).into()),
        }
    }

    /// The last message of a subject from the stream's leader, which has what any server has confirmed.
    pub(super) async fn read_leader(&self, stream: &str, subject: &str) -> Result<Option<StreamMessage>, Failed> {
        let of = self.js.get_stream_no_info(stream).await.map_err(|error| StoreError::Other(error.to_string()))?;
        let whole = format!("{}.STREAM.MSG.GET.{stream}", self.js.prefix);
        let error = match self.answered(&whole, of.get_last_raw_message_by_subject(subject)).await? {
            Ok(message) => return Ok(Some(message)),
            Err(error) => error,
        };
        match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            LastRawMessageErrorKind::JetStream(said) => match said.error_code().0 {
                NO_MESSAGE => Ok(None),
                NO_STREAM => Err(Failed::NoStream),
                _ => Err(StoreError::Unavailable(said.to_string()).into()),
            },
            _ => Err(StoreError::Unavailable(with_causes(&error)).into()),
        }
    }

    /// Publishes to the stream that takes `subject`, and waits until it is kept.
    pub(super) async fn write(&self, subject: &str, headers: HeaderMap, payload: Vec<u8>) -> Result<Wrote, Failed> {
        let request = Request::new().headers(headers).payload(payload.into());
        let answer = match self.answered(subject, self.link.client.send_request(subject.to_owned(), request)).await? {
            Ok(answer) => answer,
            Err(error) if error.kind() == RequestErrorKind::MaxPayloadExceeded => {
                let most = self.link.client.server_info().max_payload;
                let words = format!("with its headers that is more than the {most} bytes that NATS takes in one message (max_payload)");
                return Err(StoreError::TooLarge(words).into());
            }
            Err(error) => return Err(failed(&error)),
        };
        let ack: Ack = serde_json::from_slice(&answer.payload).map_err(|error| foreign(&error))?;
        match ack.error {
            None => Ok(Wrote::Done(ack.seq)),
            Some(refused) if CHANGED.contains(&refused.err_code) => Ok(Wrote::Changed),
            Some(refused) => Err(refused.told().into()),
        }
    }
}

/// What a stream answers to what is published.
#[derive(Deserialize)]
struct Ack {
    error: Option<Refused>,
    #[serde(default)]
    seq: u64,
}

#[derive(Deserialize)]
struct Refused {
    code: u16,
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl Refused {
    fn told(self) -> StoreError {
        let Refused { code, err_code, description } = self;
        match err_code {
            LARGE => StoreError::TooLarge(format!("{description}: that is more than the stream of the bucket takes (max_msg_size)")),
            FULL => {
                StoreError::Unavailable(format!("the stream of the bucket is full ({description}): raise its max_bytes, or delete keys"))
            }
            _ if code >= 500 => StoreError::Unavailable(description),
            _ => StoreError::Other(description),
        }
    }
}

fn failed(error: &RequestError) -> Failed {
    match error.kind() {
        RequestErrorKind::NoResponders => Failed::NoStream,
        RequestErrorKind::TimedOut => Failed::Told(StoreError::Timeout),
        RequestErrorKind::InvalidSubject => Failed::Told(StoreError::Invalid(error.to_string())),
        _ => Failed::Told(StoreError::Unavailable(with_causes(error))),
    }
}

fn foreign(error: &dyn std::error::Error) -> StoreError {
    StoreError::Other(format!("the server answers as no NATS does: {error}"))
}
