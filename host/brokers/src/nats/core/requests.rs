//! Requests: as NATS knows them, with an inbox for the answer, and told at once where nobody listens.

use std::time::Duration;

use async_nats::{Request, RequestErrorKind};
use longshore_core::{Batch, Outbox, PublishError};

use super::Broker;
use super::publisher::denied;

impl Broker {
    /// Publishes the one message of `outbox` and waits for what comes to its inbox.
    pub(super) async fn ask(&self, outbox: &Outbox, timeout: Duration) -> Result<Batch, PublishError> {
        self.link.check().map_err(|error| PublishError::Unavailable(error.what))?;
        let row = outbox.row(0);
        let topic = row.topic();
        let payload = self.admit(row, outbox.delay(0))?;
        let (headers, _) = self.headers(row)?;
        let inbox = self.link.client.new_inbox();
        let request = Request::new().headers(headers).payload(payload.into()).inbox(inbox.clone()).timeout(Some(timeout));
        match self.link.client.send_request(topic.to_owned(), request).await {
            Ok(answer) => Ok(self.link.answer(&answer, &inbox, &self.clock).await),
            Err(_) if self.may_not_publish(topic) => Err(denied(topic)),
            Err(error) => Err(match error.kind() {
                RequestErrorKind::TimedOut => PublishError::Timeout,
                RequestErrorKind::NoResponders => PublishError::Unavailable(format!("nobody listens to {topic:?}")),
                RequestErrorKind::MaxPayloadExceeded => PublishError::TooLarge(format!("topic {topic:?}: {error}")),
                RequestErrorKind::InvalidSubject => PublishError::Invalid(format!("topic {topic:?}: {error}")),
                RequestErrorKind::Other => PublishError::Unavailable(error.to_string()),
            }),
        }
    }
}
