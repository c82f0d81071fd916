//! What the runtime's tests share: calls made of payloads, a handler of a guest, a publisher that keeps what it was given.

#![allow(dead_code, unreachable_pub, reason = "every test file uses a part of it")]

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use longshore_core::{
    Batch, BoxFuture, BrokerError, Call, Capabilities, Crash, Done, Facts, Flag, Grant, Handler, Message, Order, Outbox, Outlet, Outlets,
    Pattern, PublishError, Publisher, Receipt, SubscriptionInfo,
};
use longshore_runtime::{HandlerSettings, Module, Runtime, Settings, WasmHandler};
use longshore_testkit::guests::{self, Guest};

/// Longer than anything here takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One runtime for all tests of a file. What it compiles is kept for the next run.
pub fn runtime() -> Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        let cache = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"));
        Runtime::new(&Settings { instances: 200, cache, ..Settings::default() }).expect("starts")
    });
    RUNTIME.clone()
}

pub fn module(guest: Guest) -> Module {
    runtime().load(&guests::path(guest)).expect("loads")
}

/// A handler of `guest` with settings changed by `change`.
pub fn handler(guest: Guest, change: impl FnOnce(&mut HandlerSettings)) -> WasmHandler {
    let mut settings = HandlerSettings::new("test");
    change(&mut settings);
    WasmHandler::new(&runtime(), &module(guest), settings).expect("is set up")
}

/// A call of one message a payload.
pub fn call(payloads: &[&str]) -> Call {
    ordered(Order::None, &payloads.iter().map(|p| (None, *p)).collect::<Vec<_>>())
}

/// A call of keys and payloads.
pub fn ordered(order: Order, messages: &[(Option<&str>, &str)]) -> Call {
    let mut batch = Batch::default();
    for (i, (key, payload)) in (1..).zip(messages) {
        let headers: &[(&str, &[u8])] = &[("to", b"out")];
        let message = Message {
            id: &format!("m-{i}"),
            topic: "in",
            key: key.map(str::as_bytes),
            payload: Some(payload.as_bytes()),
            headers: headers.iter().copied(),
            timestamp: 1_700_000_000_000,
            attempt: 1,
        };
        batch.push(&message, Receipt { position: i, token: &[] }, Facts::default());
    }
    let to = batch.len();
    Call { batch: Arc::new(batch), from: 0, to, subscription: Arc::new(subscription(order)), partition: None }
}

pub fn subscription(order: Order) -> SubscriptionInfo {
    SubscriptionInfo {
        name: "test/in".into(),
        handler: "test".into(),
        group: Some("test".into()),
        broker: "default".into(),
        order,
        max_attempts: 5,
    }
}

/// Handles `call`, but not for ever.
pub async fn handle(handler: &impl Handler, call: Call) -> Result<Done, Crash> {
    tokio::time::timeout(PATIENCE, handler.handle(call)).await.expect("the host answers in time")
}

/// Payloads of what was published.
pub fn outputs(done: &Done) -> Vec<String> {
    done.outputs.iter().map(|o| String::from_utf8_lossy(o.payload().unwrap_or_default()).into_owned()).collect()
}

/// Key and payload of what was published.
pub fn keyed_outputs(done: &Done) -> Vec<(String, String)> {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    done.outputs.iter().map(|o| (text(o.key()), text(o.payload()))).collect()
}

/// How a [`Recorder`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Fine,
    /// Never answers.
    Stuck,
    Down,
}

/// A publisher that keeps what it is given.
pub struct Recorder {
    pub mood: Mood,
    pub sent: Mutex<Vec<(String, Vec<u8>)>>,
}

impl Publisher for Recorder {
    fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Result<Vec<Result<String, PublishError>>, BrokerError>> {
        Box::pin(async move {
            match self.mood {
                Mood::Stuck => std::future::pending().await,
                Mood::Down => return Err(BrokerError::reconnect("it is down")),
                Mood::Fine => {}
            }
            let mut sent = self.sent.lock().expect("not poisoned");
            Ok((0..outbox.len())
                .map(|i| {
                    let message = outbox.get(i);
                    sent.push((message.topic.into(), message.payload.unwrap_or_default().into()));
                    Ok(format!("sent-{}", sent.len()))
                })
                .collect())
        })
    }

    fn request<'a>(&'a self, _outbox: &'a Outbox, _timeout: Duration) -> BoxFuture<'a, Result<Batch, PublishError>> {
        Box::pin(std::future::pending())
    }
}

/// Outlets that grant every topic on one broker.
pub fn outlets(mood: Mood) -> (Outlets, Arc<Recorder>) {
    let recorder = Arc::new(Recorder { mood, sent: Mutex::default() });
    let outlet = Outlet {
        broker: "default".into(),
        publisher: recorder.clone(),
        capabilities: Capabilities::of(&[Flag::Publish, Flag::RequestReply]),
        max_message_size: 1 << 20,
        published: Arc::default(),
    };
    let grant = Grant { topics: Pattern::new("**").expect("a pattern"), alias: None, broker: 0 };
    (Outlets { brokers: vec![outlet], grants: vec![grant], output: Some("out".into()) }, recorder)
}
