//! One consumer's pulls: a request for so many messages, and what comes of it, over one subscription for the lane's life.
//!
//! The client's own batches subscribe anew for each pull; this asks with a line of JSON (docs.nats.io, "Pull consumers", and ADR-37 for the
//! status codes). At most one request is open at a time.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use futures::{FutureExt, StreamExt};
use longshore_core::BrokerError;
use serde_json::json;
use tokio::time::Instant;

use crate::nats::link::Link;

/// How much longer than the server a request is waited for: it went down with its connection, then.
const GRACE: Duration = Duration::from_millis(500);

/// What ends a request, or brings something.
pub(super) enum Came {
    /// With the earliest time at which it can have come.
    Message(Message, Instant),
    /// The request is over; another may be made.
    Over,
    /// There is no such consumer any more.
    Vanished(String),
    /// Nobody answers for the consumer: it is gone, or the server is not ready.
    Nobody,
    /// The server refuses such requests.
    Refused(String),
}

/// The requests to one consumer.
pub(super) struct Pull {
    link: Arc<Link>,
    /// Where requests go.
    next: String,
    inbox: String,
    /// There until the pull ends.
    answers: Option<Subscriber>,
    serial: u64,
    open: Option<Open>,
    /// Whether the next message is larger than a request allowed.
    large: bool,
    /// When there was nothing more here: what is here now came since.
    quiet_at: Instant,
}

struct Open {
    left: usize,
    until: Instant,
}

impl Pull {
    /// For the consumer that the API's prefix, its stream and its name say.
    pub(super) async fn new(link: Arc<Link>, prefix: &str, stream: &str, consumer: &str) -> Result<Self, BrokerError> {
        let inbox = link.client.new_inbox();
        let trouble = |error| BrokerError::reconnect(format!("broker {:?}: {error}", link.name));
        let answers = link.client.subscribe(format!("{inbox}.*")).await.map_err(trouble)?;
        let next = format!("{prefix}.CONSUMER.MSG.NEXT.{stream}.{consumer}");
        Ok(Pull { link, next, inbox, answers: Some(answers), serial: 0, open: None, large: false, quiet_at: Instant::now() })
    }

    /// Asks for messages unless it did. Cancel-safe.
    pub(super) async fn ask(&mut self, messages: usize, bytes: usize, wait: Duration) -> Result<(), BrokerError> {
        if self.open.as_ref().is_some_and(|open| Instant::now() < open.until) {
            return Ok(());
        }
        let expires = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        let batch = if self.large { 1 } else { messages };
        let mut request = json!({ "batch": batch, "expires": expires });
        if !self.large {
            request["max_bytes"] = json!(bytes);
        }
        let reply = format!("{}.{}", self.inbox, self.serial + 1);
        let sent = self.link.client.publish_with_reply(self.next.clone(), reply, request.to_string().into()).await;
        sent.map_err(|error| BrokerError::retry(format!("broker {:?}: {error}", self.link.name)))?;
        self.serial += 1;
        self.large = false;
        self.open = Some(Open { left: batch, until: Instant::now() + wait + GRACE });
        Ok(())
    }

    /// What is here already.
    pub(super) fn here(&mut self) -> Option<Came> {
        let since = self.quiet_at;
        loop {
            match self.answers.as_mut()?.next().now_or_never() {
                Some(Some(message)) => {
                    if let Some(came) = self.read(message, since) {
                        return Some(came);
                    }
                }
                _ => {
                    self.quiet_at = Instant::now();
                    return None;
                }
            }
        }
    }

    /// What is here, or still comes of the open request; none once it is over. Cancel-safe.
    pub(super) async fn rest_of_request(&mut self) -> Option<Came> {
        match self.here() {
            Some(came) => Some(came),
            None if self.open.is_some() => Some(self.came().await),
            None => None,
        }
    }

    /// What comes next. Cancel-safe.
    pub(super) async fn came(&mut self) -> Came {
        loop {
            let until = self.open.as_ref().map_or_else(|| Instant::now() + GRACE, |open| open.until);
            let Some(answers) = &mut self.answers else { return std::future::pending().await };
            match tokio::time::timeout_at(until, answers.next()).await {
                Ok(Some(message)) => {
                    if let Some(came) = self.read(message, Instant::now()) {
                        return came;
                    }
                }
                Ok(None) => return Came::Refused("the connection was closed".into()),
                Err(_) => {
                    self.open = None;
                    return Came::Over;
                }
            }
        }
    }

    /// Ends it: what comes until the server has heard that is the caller's to give back.
    pub(super) fn end(&mut self) -> Option<Subscriber> {
        self.answers.take()
    }

    fn read(&mut self, message: Message, since: Instant) -> Option<Came> {
        let Some(status) = message.status.filter(|status| *status != StatusCode::OK) else {
            if let Some(open) = &mut self.open {
                open.left = open.left.saturating_sub(1);
                if open.left == 0 {
                    self.open = None;
                }
            }
            return Some(Came::Message(message, since));
        };
        let words = message.description.unwrap_or_default();
        // Word about an earlier request, which was given up.
        if message.subject.rsplit('.').next().and_then(|serial| serial.parse().ok()) != Some(self.serial) || status.as_u16() == 100 {
            return None;
        }
        self.open = None;
        Some(match (status.as_u16(), words.to_lowercase()) {
            (503, _) => Came::Nobody,
            (409, lower) if lower.contains("consumer deleted") => Came::Vanished(words),
            (409, lower) if lower.contains("message size exceeds maxbytes") => {
                self.large = true;
                Came::Over
            }
            (409, lower) if lower.contains("exceeded") || lower.contains("push based") => Came::Refused(words),
            (400, _) => Came::Refused(words),
            _ => Came::Over,
        })
    }
}
