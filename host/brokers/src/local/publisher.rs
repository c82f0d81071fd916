//! The publishing side, and requests.

use std::time::Duration;

use longshore_core::{Batch, BoxFuture, BrokerError, Fix, Message, Outbox, PublishError, Publisher, headers};
use tokio::time::timeout;

use super::admit::is_inbox;
use super::backend::Backend;
use super::front::Local;
use super::publish::Placed;

type Answers = Vec<Result<String, PublishError>>;

impl<B: Backend> Publisher for Local<B> {
    fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Result<Answers, BrokerError>> {
        Box::pin(async move {
            let shared = outbox.clone();
            let placed = match self.run(move |broker, now| broker.publish(&shared, now)).await {
                Ok(placed) => placed,
                // No room, say: each message hears it, so that whoever published can tell its own caller.
                Err(error) if error.fix == Fix::Retry => return Ok(vec![Err(PublishError::Unavailable(error.what)); outbox.len()]),
                Err(error) => return Err(error),
            };
            let answer = |(i, placed): (usize, Result<Placed, PublishError>)| match placed? {
                Placed::Inbox => self.inboxes.deliver(outbox.row(i)),
                placed => Ok(placed.id(outbox.row(i))),
            };
            Ok(placed.into_iter().enumerate().map(answer).collect())
        })
    }

    fn request<'a>(&'a self, outbox: &'a Outbox, wait: Duration) -> BoxFuture<'a, Result<Batch, PublishError>> {
        Box::pin(async move {
            let mut inbox = self.inboxes.open();
            let request = with_reply_to(outbox, &inbox.name);
            let answers = self.publish(&request).await.map_err(|error| PublishError::Unavailable(error.what))?;
            answers.into_iter().collect::<Result<Vec<_>, _>>()?;
            match timeout(wait, &mut inbox.reply).await {
                Ok(Ok(reply)) => Ok(reply),
                Ok(Err(_)) | Err(_) => Err(PublishError::Timeout),
            }
        })
    }

    fn is_reply_address(&self, topic: &str) -> bool {
        is_inbox(topic)
    }
}

fn with_reply_to(outbox: &Outbox, inbox: &str) -> Outbox {
    let mut request = Outbox::default();
    for i in 0..outbox.len() {
        let message = outbox.get(i);
        let kept = message.headers.clone().filter(|(name, _)| *name != headers::REPLY_TO);
        let headers = kept.chain(std::iter::once((headers::REPLY_TO, inbox.as_bytes())));
        let Message { id, topic, key, payload, timestamp, attempt, .. } = message;
        request.push(&Message { id, topic, key, payload, headers, timestamp, attempt }, outbox.delay(i), outbox.origin(i));
    }
    request
}
