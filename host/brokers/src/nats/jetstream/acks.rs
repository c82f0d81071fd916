//! The settling half of a lane: what is to come again is copied first, then everything is acknowledged in one go.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_nats::header::HeaderValue;
use async_nats::{HeaderMap, Message, RequestErrorKind};
use futures::{StreamExt, TryStreamExt, stream};
use longshore_core::{Acks, Again, BoxFuture, BrokerError, Receipt, Receipts, SettleError, Settled};

use super::api::{self, Said};
use super::keys::OnVanished;
use super::messages;
use super::retries::{self, Journey, REDRIVEN};
use super::source::Origin;
use super::streams::Broker;
use crate::nats::headers::{ID, MESSAGE_ID, TIMESTAMP};

/// Originals that are read, and copies that are written, at once.
const COPIES: usize = 64;

/// How long the answer to an acknowledgement may take.
const ACK_PATIENCE: Duration = Duration::from_secs(2);

/// The subject that acknowledges a delivery, and what it says (ADR-15 of nats-architecture-and-design):
/// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>`, with domain and account before the
/// stream where servers send the longer form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AckSubject<'a> {
    pub(super) subject: &'a str,
    pub(super) stream: &'a str,
    pub(super) delivered: u32,
    pub(super) stream_sequence: u64,
    pub(super) consumer_sequence: u64,
    /// Milliseconds since the Unix epoch.
    pub(super) stored_at: u64,
}

impl<'a> AckSubject<'a> {
    pub(super) fn of(message: &'a Message) -> Option<Self> {
        AckSubject::parse(message.reply.as_ref()?.as_str())
    }

    fn parse(subject: &'a str) -> Option<Self> {
        let levels = subject.split('.').count();
        let mut rest = subject.strip_prefix("$JS.ACK.")?.split('.').skip(if levels > 9 { 2 } else { 0 });
        let stream = rest.next()?;
        let _consumer = rest.next()?;
        let mut number = || rest.next()?.parse::<u64>().ok();
        let (delivered, stream_sequence, consumer_sequence, nanos) = (number()?, number()?, number()?, number()?);
        let delivered = u32::try_from(delivered).unwrap_or(u32::MAX).max(1);
        Some(AckSubject { subject, stream, delivered, stream_sequence, consumer_sequence, stored_at: nanos / 1_000_000 })
    }

    /// The id of a message that has none of its own, in the stream that was made then.
    pub(super) fn id(&self, made: &str) -> String {
        format!("{}/{made}/{}", self.stream, self.stream_sequence)
    }

    /// From a receipt's token, with how often the message was handed over in all.
    fn of_token(token: &'a [u8]) -> Option<(Self, u32)> {
        let text = std::str::from_utf8(token).ok()?;
        let (subject, deliveries) = text.split_once(' ').unwrap_or((text, ""));
        let ack = AckSubject::parse(subject)?;
        Some((ack, deliveries.parse().unwrap_or(ack.delivered)))
    }
}

/// The word that sends a delivery back, to come again after a while.
pub(super) fn nak(delay: Duration) -> String {
    format!("-NAK {{\"delay\": {}}}", u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX))
}

impl Broker {
    /// Says something of a delivery.
    pub(super) async fn send(&self, subject: &str, word: impl Into<Cow<'static, str>>) -> Result<(), BrokerError> {
        let word = match word.into() {
            Cow::Borrowed(word) => word.into(),
            Cow::Owned(word) => word.into(),
        };
        let sent = self.link.client.publish(subject.to_owned(), word).await;
        sent.map_err(|error| BrokerError::retry(format!("broker {:?}: {error}", self.link.name)))
    }
}

/// The settling half.
pub(super) struct LaneAcks {
    origin: Arc<Origin>,
    /// Part of the copies' ids: a round that is settled twice makes each once.
    nonce: String,
    on_vanished: OnVanished,
}

impl LaneAcks {
    pub(super) fn new(origin: Arc<Origin>, nonce: String, on_vanished: OnVanished) -> Self {
        LaneAcks { origin, nonce, on_vanished }
    }
}

impl Acks for LaneAcks {
    fn settle<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<(), SettleError>> {
        Box::pin(async move {
            self.origin.broker.link.check()?;
            let again = round.again.iter().zip(&round.again_how);
            let copies: Vec<_> = again.map(|(receipt, how)| self.copy(receipt, how)).collect();
            stream::iter(copies).buffer_unordered(COPIES).try_collect::<()>().await?;
            let all = round.finished.iter().chain(round.again.iter());
            let tokens: Vec<&str> = all.filter_map(|receipt| AckSubject::of_token(receipt.token)).map(|(ack, _)| ack.subject).collect();
            self.acknowledge(&tokens).await?;
            if let Some(mark) = round.up_to.filter(|mark| *mark < REDRIVEN) {
                self.origin.broker.note_floor(&self.origin.stream, &self.origin.group, &self.origin.made, mark);
            }
            Ok(())
        })
    }

    fn extend<'a>(&'a mut self, held: &'a Receipts) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            self.origin.broker.link.check()?;
            for (ack, _) in held.iter().filter_map(|receipt| AckSubject::of_token(receipt.token)) {
                self.origin.broker.send(ack.subject, "+WPI").await?;
            }
            Ok(())
        })
    }

    fn close(self: Box<Self>, open: Receipts) -> BoxFuture<'static, Result<(), BrokerError>> {
        Box::pin(async move {
            let mut acks: Vec<(u64, AckSubject<'_>)> =
                open.iter().filter_map(|r| Some((r.position, AckSubject::of_token(r.token)?.0))).collect();
            // They come again in the order in which they are given back.
            acks.sort_by_key(|(position, _)| *position);
            for (_, ack) in acks {
                self.origin.broker.send(ack.subject, "-NAK").await?;
            }
            let flushed = self.origin.broker.link.client.flush().await;
            flushed.map_err(|error| BrokerError::retry(format!("broker {:?}: {error}", self.origin.broker.link.name)))
        })
    }
}

impl LaneAcks {
    /// Keeps a copy that comes again.
    async fn copy(&self, receipt: Receipt<'_>, how: &Again) -> Result<(), BrokerError> {
        let Origin { broker, stream, made, group, .. } = &*self.origin;
        let Some((ack, deliveries)) = AckSubject::of_token(receipt.token) else { return Ok(()) };
        let what = || format!("message {} of stream {:?}, to be tried again", ack.stream_sequence, ack.stream);
        let Some(original) = messages::at(&broker.js, ack.stream, ack.stream_sequence).await.map_err(|said| said.about(what()))? else {
            // Settled before, or removed by the stream's limits while it was held.
            if ack.stream != retries::STREAM {
                tracing::error!(
                    stream,
                    group,
                    sequence = ack.stream_sequence,
                    "a message was removed from its stream before it could be tried again"
                );
            }
            return Ok(());
        };
        let before = Journey::read(&original.headers);
        let now = broker.clock.now();
        let delay = u64::try_from(how.delay.as_millis()).unwrap_or(u64::MAX);
        let journey = Journey {
            topic: before.as_ref().map_or_else(|| original.subject.to_string(), |before| before.topic.clone()),
            made: made.clone(),
            position: receipt.position,
            attempt: how.attempt,
            deliveries,
            first_failed_at: how.first_failed_at,
            redrives: before.as_ref().map_or(0, |before| before.redrives),
            // A millisecond more: the clock was read in the middle of one.
            not_before: if delay == 0 { 0 } else { now.saturating_add(delay).saturating_add(1) },
        };
        let subject = match &before {
            Some(_) => original.subject.to_string(),
            None => retries::subject(stream, group, format_args!("{made}.{}", ack.stream_sequence)),
        };
        let mut headers = kept(&original.headers);
        if before.is_none() {
            keep_facts(&mut headers, &original.headers, &ack, made);
        }
        journey.write(&mut headers);
        headers.insert(MESSAGE_ID, format!("{}/{}/{}/{}", self.nonce, ack.stream, ack.consumer_sequence, ack.stream_sequence).as_str());
        let trouble = |error: String| BrokerError::retry(format!("{} cannot be kept: {error}", what()));
        let sent = broker.js.publish_with_headers(subject, headers, original.payload).await.map_err(|error| trouble(error.to_string()))?;
        sent.await.map(drop).map_err(|error| trouble(crate::nats::link::with_causes(&error)))
    }

    /// Acknowledges. The last word to each consumer is a question: once it is answered, all before it were heard.
    async fn acknowledge(&self, subjects: &[&str]) -> Result<(), BrokerError> {
        let broker = &self.origin.broker;
        let copies = format!(".{}.", retries::STREAM);
        let (retried, fresh): (Vec<&str>, Vec<&str>) = subjects.iter().partition(|subject| subject.contains(&copies));
        for list in [fresh, retried] {
            let Some((last, before)) = list.split_last() else { continue };
            for subject in before {
                broker.send(subject, "+ACK").await?;
            }
            let asked = async_nats::Request::new().payload("+ACK".into()).timeout(Some(ACK_PATIENCE.min(broker.link.patience)));
            match broker.link.client.send_request((*last).to_owned(), asked).await {
                Ok(_) => {}
                Err(error) if error.kind() == RequestErrorKind::NoResponders => {
                    return Err(self.origin.vanished("nobody takes its acknowledgements", self.on_vanished));
                }
                Err(error) if error.kind() == RequestErrorKind::TimedOut => self.unanswered().await?,
                Err(error) => return Err(BrokerError::retry(format!("broker {:?}: acknowledging: {error}", broker.link.name))),
            }
        }
        Ok(())
    }

    /// A server that was killed forgets the last deliveries, and answers nothing to what acknowledges them: they come again, whatever we do.
    /// That is so when it answers everything else.
    async fn unanswered(&self) -> Result<(), BrokerError> {
        let Origin { broker, stream, group, .. } = &*self.origin;
        broker.link.check()?;
        let about = |said: Said| said.about(format!("consumer {group:?} of stream {stream:?}"));
        match api::consumer(&broker.js, stream, group).await.map_err(about)? {
            Some(_) => {
                tracing::warn!(stream, group, "the server knows nothing of what was acknowledged last: it may come again");
                Ok(())
            }
            None => Err(self.origin.vanished("it was deleted", self.on_vanished)),
        }
    }
}

/// The headers of a message, without the server's.
fn kept(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, values) in headers.iter() {
        let name: &str = name.as_ref();
        if !name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("nats-")) {
            values.iter().for_each(|value| kept.append(name, value.clone()));
        }
    }
    kept
}

/// Keeps what else a message would lose that leaves its own stream: its id and its time.
fn keep_facts(headers: &mut HeaderMap, original: &HeaderMap, ack: &AckSubject<'_>, made: &str) {
    if headers.get(ID).is_none() {
        let own = || ack.id(made);
        let id = original.get(MESSAGE_ID).map(|id| id.as_str().to_owned()).filter(|id| !id.is_empty()).unwrap_or_else(own);
        headers.insert(ID, id.as_str());
    }
    if headers.get(TIMESTAMP).is_none() {
        headers.insert(TIMESTAMP, HeaderValue::from(ack.stored_at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_an_acknowledgement_are_read() {
        for subject in ["$JS.ACK.S.C.2.7.9.1700000000123456789.4", "$JS.ACK.dom.acc.S.C.2.7.9.1700000000123456789.4.rand"] {
            let ack = AckSubject::parse(subject).expect("read");
            assert_eq!((ack.stream, ack.delivered, ack.stream_sequence, ack.consumer_sequence), ("S", 2, 7, 9), "{subject}");
            assert_eq!(ack.stored_at, 1_700_000_000_123);
        }
        assert_eq!(AckSubject::parse("orders.created"), None);
        let (ack, deliveries) = AckSubject::of_token(b"$JS.ACK.S.C.2.7.9.1.4 12").expect("read");
        assert_eq!((ack.subject, deliveries), ("$JS.ACK.S.C.2.7.9.1.4", 12));
    }
}
