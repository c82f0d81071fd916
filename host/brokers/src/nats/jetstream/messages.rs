//! Single messages of a stream: read from whichever server has them, else from the stream's leader.

use async_nats::jetstream::Context;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind};

use super::api::Said;

/// The message at a sequence, or `None` where there is none.
pub(super) async fn at(js: &Context, stream: &str, sequence: u64) -> Result<Option<StreamMessage>, Said> {
    let from = js.get_stream_no_info(stream).await.map_err(|error| Said::Refused(error.to_string()))?;
    match from.direct_get(sequence).await {
        Ok(message) => Ok(Some(message)),
        Err(error) => match error.kind() {
            // A copy of the stream may lag, and a stream may not allow reading past its leader.
            DirectGetErrorKind::NotFound
            | DirectGetErrorKind::TimedOut
            | DirectGetErrorKind::Request
            | DirectGetErrorKind::ErrorResponse(..) => found(from.get_raw_message(sequence).await),
            _ => Err(Said::Trouble(error.to_string())),
        },
    }
}

/// The first message of a subject, or filter, from a sequence on.
pub(super) async fn next(js: &Context, stream: &str, filter: &str, from: u64) -> Result<Option<StreamMessage>, Said> {
    let of = js.get_stream_no_info(stream).await.map_err(|error| Said::Refused(error.to_string()))?;
    found(of.raw_message_builder().next_by_subject(filter).sequence(from).send().await)
}

/// The last message of a subject.
pub(super) async fn last(js: &Context, stream: &str, subject: &str) -> Result<Option<StreamMessage>, Said> {
    let of = js.get_stream_no_info(stream).await.map_err(|error| Said::Refused(error.to_string()))?;
    found(of.get_last_raw_message_by_subject(subject).await)
}

fn found(answer: Result<StreamMessage, async_nats::jetstream::stream::LastRawMessageError>) -> Result<Option<StreamMessage>, Said> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            LastRawMessageErrorKind::JetStream(inner) => match inner.error_code().0 {
                10037 | 10043 | 10059 => Ok(None),
                _ => Err(Said::Trouble(inner.to_string())),
            },
            _ => Err(Said::Trouble(error.to_string())),
        },
    }
}
