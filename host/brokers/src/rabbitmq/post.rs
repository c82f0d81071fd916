//! Publishing with confirms: many at once, each answered for.
//!
//! `mandatory` makes the server return what it cannot route. The client hands a returned message to whichever confirm comes next, not to its
//! own; so a batch has its channel for itself, and a returned message is known by what it says.

use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};
use longshore_core::BrokerError;

use super::link::Open;
use super::trouble;

/// Messages that may wait for their confirms at once.
const WINDOW: usize = 5_000;

/// A message on its way.
pub(super) struct Letter<'a> {
    pub(super) exchange: ShortString,
    pub(super) key: ShortString,
    pub(super) id: String,
    pub(super) properties: BasicProperties,
    pub(super) payload: &'a [u8],
    /// Whether it is to be returned when nobody gets it.
    pub(super) mandatory: bool,
}

/// What became of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Confirmed,
    /// The server refused it: a full queue, or one whose members do not agree now.
    Refused,
    /// No queue is bound for it.
    Unroutable(String),
    /// No confirm came in time: it may be there or not.
    Unknown,
}

/// Where a letter went, to know it again.
struct Sent {
    exchange: ShortString,
    key: ShortString,
    id: String,
}

/// Publishes all and waits for every confirm, at most `patience` from one to the next.
pub(super) async fn post(open: &Open, letters: Vec<Letter<'_>>, patience: Duration) -> Result<Vec<Fate>, BrokerError> {
    let channel = open.confirming().await?;
    let (mut sent, mut sending) = (Vec::with_capacity(letters.len()), Vec::with_capacity(letters.len()));
    for letter in letters {
        sent.push(Sent { exchange: letter.exchange.clone(), key: letter.key.clone(), id: letter.id });
        let options = BasicPublishOptions { mandatory: letter.mandatory, ..Default::default() };
        sending.push(send(&channel, (letter.exchange, letter.key), options, letter.properties, letter.payload));
    }
    let (mut fates, returned) = confirms(stream::iter(sending).buffered(WINDOW), patience).await?;
    if fates.len() < sent.len() {
        // Confirms are still to come on that channel: nobody else can use it.
        fates.resize(sent.len(), Fate::Unknown);
        return Ok(fates);
    }
    returned.iter().for_each(|message| mark(message, &sent, &mut fates));
    open.keep(channel);
    Ok(fates)
}

/// What came until the end, or until nothing came any more.
async fn confirms(
    confirms: impl Stream<Item = Result<Confirmation, lapin::Error>>,
    patience: Duration,
) -> Result<(Vec<Fate>, Vec<BasicReturnMessage>), BrokerError> {
    let mut confirms = std::pin::pin!(confirms);
    let (mut fates, mut returned) = (Vec::new(), Vec::new());
    while let Ok(Some(confirmation)) = tokio::time::timeout(patience, confirms.next()).await {
        let confirmation = confirmation.map_err(|e| lost(&e))?;
        fates.push(if confirmation.is_nack() { Fate::Refused } else { Fate::Confirmed });
        returned.extend(confirmation.take_message());
    }
    Ok((fates, returned))
}

async fn send(
    channel: &Channel,
    (exchange, key): (ShortString, ShortString),
    options: BasicPublishOptions,
    properties: BasicProperties,
    payload: &[u8],
) -> Result<Confirmation, lapin::Error> {
    channel.basic_publish(exchange, key, options, payload, properties).await?.await
}

/// Letters that look alike in all of this go the same way.
fn mark(message: &BasicReturnMessage, sent: &[Sent], fates: &mut [Fate]) {
    let id = message.properties.message_id().as_ref().map_or("", ShortString::as_str);
    for (sent, fate) in sent.iter().zip(fates) {
        if sent.id == id && sent.key == message.routing_key && sent.exchange == message.exchange {
            *fate = Fate::Unroutable(message.reply_text.to_string());
        }
    }
}

/// The channel is gone, and with it the answer for all that was not confirmed. Whatever closed it, another one may serve.
fn lost(error: &lapin::Error) -> BrokerError {
    BrokerError::retry(trouble::told("publishing", error).what)
}
