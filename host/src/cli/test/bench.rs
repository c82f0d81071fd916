//! One handler, set up as it would run but for brokers, and the way of a case through it.

use std::sync::Arc;

use longshore_admin::model::{Data, HeaderList};
use longshore_core::{
    Batch, Call, Capabilities, Crash, Destination, Done, Facts, Failure as Said, Flag, Grant, Handler, Message, Outlet, Outlets, Receipt,
    Span, SubscriptionInfo,
};
use longshore_runtime::{HandlerSettings, Reuse as Instances, Runtime, WasmHandler};

use super::case::{Case, Outcome, Outgoing};
use super::outlet::Kept;
use crate::cli::failure::Failure;
use crate::config::{Config, HandlerConfig, PASS_THROUGH, Reuse};
use crate::stores;

/// What came out of a case.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) outcome: Outcome,
    pub(super) reason: String,
    pub(super) publishes: Vec<Outgoing>,
    pub(super) sends: Vec<Outgoing>,
}

/// A handler ready for cases.
pub(super) struct Bench<'a> {
    config: &'a HandlerConfig,
    handler: WasmHandler,
    outlets: Outlets,
    kept: Kept,
}

impl<'a> Bench<'a> {
    pub(super) async fn new(config: &Config, handler: &'a HandlerConfig, runtime: &Runtime) -> Result<Self, Failure> {
        let kept = Kept::default();
        let outlets = outlets(config, handler, &kept);
        let built = if handler.build.is_some() { "; build it first: longshore build" } else { "" };
        let nothing = || Failure::usage(format!("handler {:?} is {PASS_THROUGH}, which has nothing to test", handler.name));
        let module = runtime.load(handler.component.file().ok_or_else(nothing)?).map_err(|e| Failure::usage(format!("{e}{built}")))?;
        let settings = HandlerSettings {
            limits: handler.limits,
            reuse: match handler.reuse {
                Reuse::After(calls) => Instances::Calls(calls),
                Reuse::Fresh => Instances::Fresh,
            },
            concurrency: 1,
            outlets: outlets.clone(),
            stores: stores::granted(&stores::in_memory(config).await, &handler.stores),
            config: handler.config.iter().map(|(key, value)| (key.clone(), value.expose().to_owned())).collect(),
            ..HandlerSettings::new(&handler.name)
        };
        let made = WasmHandler::new(runtime, &module, settings).map_err(|e| Failure::usage(e.to_string()))?;
        Ok(Bench { config: handler, handler: made, outlets, kept })
    }

    /// Hands the case's message to the handler, alone.
    pub(super) async fn run(&self, case: &Case) -> Result<Came, Failure> {
        let done = self.handler.handle(self.call(case)).await;
        let sends = sent(&self.kept);
        let came = |outcome, reason, publishes| Came { outcome, reason, publishes, sends };
        Ok(match done {
            Ok(done) => match self.answered(&done) {
                Ok((outcome, reason, publishes)) => came(outcome, reason, publishes),
                Err(denied) => came(Outcome::Output, denied, Vec::new()),
            },
            Err(Crash::Host(why)) => return Err(Failure::failed(format!("case {:?}: {why}", case.name))),
            Err(crash) => came(crashed(&crash), crash.to_string(), Vec::new()),
        })
    }

    fn call(&self, case: &Case) -> Call {
        let (message, subscriptions) = (&case.message, &self.config.subscriptions);
        let topic = message.topic.clone().or_else(|| subscriptions.first()?.topics.first().map(|t| t.as_str().to_owned()));
        let topic = topic.unwrap_or_default();
        let subscription = subscriptions.iter().find(|s| s.consumes(&topic)).or(subscriptions.first());
        let mut batch = Batch::default();
        let incoming = Message {
            id: message.id.as_deref().unwrap_or("test/1"),
            topic: &topic,
            key: message.key.as_ref().map(|k| k.0.as_slice()),
            payload: message.payload.as_ref().map(|p| p.0.as_slice()),
            headers: message.headers.iter(),
            timestamp: message.timestamp,
            attempt: message.attempt,
        };
        batch.push(&incoming, Receipt { position: 1, token: &[] }, Facts::default());
        let info = SubscriptionInfo {
            name: subscription.map(|s| s.name.clone()).unwrap_or_default(),
            handler: self.config.name.clone(),
            group: subscription.and_then(|s| s.group.clone()),
            broker: subscription.map(|s| s.broker.clone()).unwrap_or_default(),
            order: subscription.map(|s| s.order).unwrap_or_default(),
            max_attempts: subscription.map_or(1, |s| s.retry.max_attempts),
        };
        Call { batch: Arc::new(batch), from: 0, to: 1, subscription: Arc::new(info), partition: None }
    }

    /// What an answer means; an error when it publishes where it may not.
    fn answered(&self, done: &Done) -> Result<(Outcome, String, Vec<Outgoing>), String> {
        let (outcome, reason) = match done.failures.first() {
            None => (Outcome::Ok, String::new()),
            Some((_, Said::Retry(reason))) => (Outcome::Retry, reason.clone()),
            Some((_, Said::RetryAfter(_, reason))) => (Outcome::RetryAfter, reason.clone()),
            Some((_, Said::Reject(reason))) => (Outcome::Reject, reason.clone()),
            Some((_, Said::Discard(reason))) => (Outcome::Discard, reason.clone()),
            Some((_, Said::Snooze(_))) => (Outcome::Snooze, String::new()),
            Some((_, Said::NotTried)) => return Err("the message was given back untried".into()),
        };
        if outcome != Outcome::Ok {
            return Ok((outcome, reason, Vec::new()));
        }
        let publishes = done.outputs.iter().map(|output| {
            let topic = match output.destination() {
                Destination::Topic(topic) => topic,
                Destination::Output => self.outlets.output.as_deref().ok_or("the handler has no `output` in the configuration")?,
                Destination::Reply => "reply",
            };
            if topic != "reply" {
                self.outlets.find(topic).map_err(|e| e.to_string())?;
            }
            Ok(Outgoing {
                topic: topic.into(),
                key: output.key().map(Data::from),
                payload: output.payload().map(Data::from),
                headers: HeaderList(output.headers().map(|(n, v)| (n.into(), v.into())).collect()),
                delay: Some(output.delay()).filter(|d| *d > 0).map(Span::from_millis),
            })
        });
        Ok((outcome, reason, publishes.collect::<Result<_, String>>()?))
    }
}

fn crashed(crash: &Crash) -> Outcome {
    match crash {
        Crash::Timeout(_) => Outcome::Timeout,
        Crash::Memory(_) => Outcome::Memory,
        Crash::Trap(_) | Crash::Host(_) => Outcome::Trap,
    }
}

/// The handler's own grants, every one of them ending in `kept`.
fn outlets(config: &Config, handler: &HandlerConfig, kept: &Kept) -> Outlets {
    let mut outlets = Outlets { output: handler.output.clone(), ..Outlets::default() };
    for grant in &handler.publish {
        let broker = config.brokers.get(&grant.broker);
        outlets.grants.push(Grant { topics: grant.topics.clone(), alias: grant.alias.clone(), broker: outlets.brokers.len() });
        outlets.brokers.push(Outlet {
            broker: grant.broker.clone(),
            publisher: Arc::new(kept.clone()),
            capabilities: broker.map_or(Capabilities::of(&[Flag::Publish]), |b| b.registration.capabilities),
            max_message_size: broker.map_or(usize::MAX, |b| b.max_message_size),
            published: Arc::default(),
        });
    }
    outlets
}

fn sent(kept: &Kept) -> Vec<Outgoing> {
    let outbox = kept.take();
    let one = |i| {
        let row = outbox.row(i);
        Outgoing {
            topic: row.topic().into(),
            key: row.key().map(Data::from),
            payload: row.payload().map(Data::from),
            headers: HeaderList(row.headers().map(|(n, v)| (n.into(), v.into())).collect()),
            delay: Some(outbox.delay(i)).filter(|d| *d > 0).map(Span::from_millis),
        }
    };
    (0..outbox.len()).map(one).collect()
}
