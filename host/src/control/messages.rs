//! Messages in and out, as a command or HTTP asks for them: published with the broker's retry policy, read without moving anybody.

use std::time::Duration;

use longshore_admin::control::{Answer, MessageControl};
use longshore_admin::model::{Browse, Line, MAX_PUBLISH, MAX_WAIT, Publish, Published, Received, Request, Take, ToPublish};
use longshore_admin::{ControlError, Kind};
use longshore_core::{Batch, BrokerError, Fix, Flag, Message, Outbox, Page, PublishError, Publisher};
use tokio::time::Instant;

use super::asked::Asked;
use super::topics::missing;
use super::{HostControl, page};

/// Messages of a page where nothing is said.
const PAGE: usize = 100;

impl MessageControl for HostControl {
    fn publish(&self, publish: Publish) -> Answer<'_, Vec<Published>> {
        Box::pin(async move {
            let broker = self.broker(publish.broker.as_deref())?;
            if publish.messages.len() > MAX_PUBLISH {
                let message = format!("{} messages in one request, at most {MAX_PUBLISH} are taken", publish.messages.len());
                return Err(ControlError::new(Kind::TooLarge, message));
            }
            self::publish(broker, &publish.messages, self.clock.now()).await
        })
    }

    fn browse(&self, browse: Browse) -> Answer<'_, Vec<Received>> {
        Box::pin(async move {
            let broker = self.broker(browse.broker.as_deref())?;
            let (topics, limit) = (broker.topics()?, page(browse.limit, PAGE)?);
            let deadline = Instant::now() + wait(browse.wait_ms)?;
            if browse.newest {
                let mut newest = topics.browse(&browse.topic, Page::Before(u64::MAX, limit)).await.map(|b| received(&b));
                newest.iter_mut().for_each(|messages| messages.reverse());
                return newest.map_err(|e| broker.told(e));
            }
            loop {
                let batch = topics.browse(&browse.topic, Page::After(browse.after, limit)).await.map_err(|e| broker.told(e))?;
                if !batch.is_empty() {
                    return Ok(received(&batch));
                }
                if browse.wait_ms == 0 && !topics.list().await.map_err(|e| broker.told(e))?.iter().any(|t| t.name == browse.topic) {
                    return Err(missing(broker, &browse.topic));
                }
                tokio::select! {
                    more = topics.wait_for(&browse.topic, browse.after) => more.map_err(|e| broker.told(e))?,
                    () = tokio::time::sleep_until(deadline) => return Ok(Vec::new()),
                }
            }
        })
    }

    fn take(&self, take: Take) -> Answer<'_, Vec<Received>> {
        Box::pin(async move {
            let broker = self.broker(take.broker.as_deref())?;
            let (limit, wait) = (page(take.limit, PAGE)?, wait(take.wait_ms)?);
            super::take::take(broker, &take, limit, wait).await
        })
    }

    fn request(&self, request: Request) -> Answer<'_, Line> {
        Box::pin(async move {
            let broker = self.broker(request.broker.as_deref())?;
            let (publisher, wait) = (broker.publisher()?, wait(request.timeout_ms)?);
            if !broker.config.registration.capabilities.has(Flag::RequestReply) {
                let kind = broker.config.registration.name;
                let told = format!("a broker of type {kind:?} has no request and reply; `longshore brokers capabilities` shows which have");
                return Err(broker.told(ControlError::unsupported(told)));
            }
            let mut outbox = Outbox::default();
            let message = ToPublish { message: request.message, delay_ms: 0 };
            check(broker, &message)?;
            push(&mut outbox, &message, self.clock.now());
            let answer = publisher.request(&outbox, wait).await.map_err(|e| match e {
                PublishError::Timeout => broker.told(ControlError::new(Kind::Timeout, format!("nobody answered within {wait:?}"))),
                other => broker.told(other),
            })?;
            match answer.is_empty() {
                false => Ok(Line::of(answer.get(0))),
                true => Err(broker.told(ControlError::new(Kind::Failed, "the answer is empty"))),
            }
        })
    }
}

fn wait(millis: u64) -> Result<Duration, ControlError> {
    match millis <= MAX_WAIT {
        true => Ok(Duration::from_millis(millis)),
        false => Err(ControlError::invalid(format!("a wait of {millis} ms: one call waits at most {MAX_WAIT} ms"))),
    }
}

/// A batch as it stands on its topic.
pub(super) fn received(batch: &Batch) -> Vec<Received> {
    let one = |i| Received { position: batch.receipt(i).position, message: Line::of(batch.get(i)) };
    (0..batch.len()).map(one).collect()
}

/// Publishes what can be, by `publish-timeout` and `publish-retry`, and answers for each.
async fn publish(broker: &Asked, messages: &[ToPublish], now: u64) -> Result<Vec<Published>, ControlError> {
    let publisher = broker.patient()?;
    let checked: Vec<Result<(), ControlError>> = messages.iter().map(|message| check(broker, message)).collect();
    let mut outbox = Outbox::default();
    messages.iter().zip(&checked).filter(|(_, c)| c.is_ok()).for_each(|(message, _)| push(&mut outbox, message, now));
    let answers = match publisher.publish(&outbox).await {
        Ok(answers) => answers,
        Err(error) => vec![Err(told_to_each(error)); outbox.len()],
    };
    let mut answers = answers.into_iter().map(|answer| answer.map_err(|e| broker.told(e)));
    let lost = || Err(broker.told(ControlError::new(Kind::Failed, "it did not answer for every message")));
    Ok(checked.into_iter().map(|c| Published::of(c.and_then(|()| answers.next().unwrap_or_else(lost)))).collect())
}

fn told_to_each(error: BrokerError) -> PublishError {
    match error.fix {
        Fix::Retry | Fix::Reconnect => PublishError::Unavailable(error.what),
        Fix::GiveUp | Fix::Repair => PublishError::Invalid(error.what),
    }
}

/// What can be refused before the broker is asked.
fn check(broker: &Asked, message: &ToPublish) -> Result<(), ControlError> {
    let line = &message.message;
    if line.topic.as_deref().unwrap_or_default().is_empty() {
        return Err(ControlError::invalid("the message has no topic"));
    }
    let length = |data: &Option<longshore_admin::model::Data>| data.as_ref().map_or(0, |d| d.0.len());
    let headers: usize = line.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let (size, most) = (length(&line.payload) + length(&line.key) + headers, broker.config.max_message_size);
    match size > most {
        true => Err(broker.told(ControlError::new(Kind::TooLarge, format!("a message of {size} bytes, `max-message-size` is {most}")))),
        false => Ok(()),
    }
}

fn push(outbox: &mut Outbox, to_publish: &ToPublish, now: u64) {
    let (line, delay) = (&to_publish.message, to_publish.delay_ms);
    let message = Message {
        id: "",
        topic: line.topic.as_deref().unwrap_or_default(),
        key: line.key.as_ref().map(|k| k.0.as_slice()),
        payload: line.payload.as_ref().map(|p| p.0.as_slice()),
        headers: line.headers.iter(),
        timestamp: now,
        attempt: 1,
    };
    outbox.push(&message, delay, 0);
}
