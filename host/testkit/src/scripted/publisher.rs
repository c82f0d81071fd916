//! The publishing side: each message is taken, refused or not answered for, and the whole may fail before or after it took effect.

use longshore_core::{BoxFuture, BrokerError, Outbox, PublishError, Publisher};

use super::Broker;
use super::event::Event;

/// What every address begins with that an answer may go to.
const INBOX: &str = "_inbox.";

pub(crate) struct ScriptedPublisher {
    pub(crate) broker: Broker,
}

type Answers = Result<Vec<Result<String, PublishError>>, BrokerError>;

impl Publisher for ScriptedPublisher {
    fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Answers> {
        Box::pin(async move {
            tokio::time::sleep(self.broker.latency()).await;
            let answers = self.broker.take(outbox);
            tokio::time::sleep(self.broker.latency()).await;
            answers
        })
    }

    fn is_reply_address(&self, topic: &str) -> bool {
        topic.starts_with(INBOX)
    }
}

impl Broker {
    fn take(&self, outbox: &Outbox) -> Answers {
        let mut state = self.state();
        let fails = state.fails(|f| f.publish);
        if fails && state.random.chance(50) {
            self.history.record(Event::PublishFailed { broker: self.name.to_string(), took_effect: false });
            return Err(state.error("the publish failed before it took effect"));
        }
        let mut answers = Vec::with_capacity(outbox.len());
        for index in 0..outbox.len() {
            let message = outbox.get(index);
            answers.push(match self.refusal(&mut state, &message, outbox.row(index).size()) {
                Some(error) => Err(error),
                None if state.fails(|f| f.publish / 2) => Err(PublishError::Unavailable("no room now".into())),
                None => {
                    self.keep(&mut state, outbox, index);
                    Ok(message.id.to_owned())
                }
            });
        }
        if fails {
            self.history.record(Event::PublishFailed { broker: self.name.to_string(), took_effect: true });
            return Err(state.error("the publish failed after it took effect"));
        }
        Ok(answers)
    }
}
