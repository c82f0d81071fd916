//! A broker, an engine and a handler, put together with the defaults of the configuration, and fed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::StreamExt;
use longshore_brokers::embedded::Embedded;
use longshore_brokers::memory::Memory;
use longshore_brokers::nats::jetstream::NatsJetStream;
use longshore_brokers::rabbitmq::RabbitMq;
use longshore_brokers::redis::streams::Streams;
use longshore_core::{
    Acks, Adapter, Batching, BoxFuture, BrokerError, Call, Capabilities, Clock, Connect, Consumer, Crash, DeadLetterPolicy, Delivery, Done,
    Failure, Fetch, Grant, Handler, Lane, Lanes, Limits, Message, Order, Outbox, Outlet, Outlets, OwnKeys, Pattern, RetryPolicy, Roles,
    SettleError, Settled, Start, Subscribe, SubscriptionInfo,
};
use longshore_engine::{Gate, Metrics, Policy, Reconnect, Status, Subscription};
use longshore_runtime::{HandlerSettings, Reuse, Runtime, Settings, WasmHandler};
use longshore_testkit::guests::{self, Guest};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::sample::{Sample, Watch};

/// Where messages come from.
pub(crate) const IN: &str = "in";
/// Where a handler publishes to.
pub(crate) const OUT: &str = "out";
/// Messages that are published at once where it does not matter.
pub(crate) const FILL: usize = 1000;
/// `max-in-flight`, and messages a call, as the configuration has them where nothing is said.
const IN_FLIGHT: usize = 1000;

/// A broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Embedded,
    RedisStreams,
    JetStream,
    RabbitMq,
}

impl Kind {
    fn capabilities(self) -> Capabilities {
        match self {
            Kind::Memory => Memory::CAPABILITIES,
            Kind::Embedded => Embedded::CAPABILITIES,
            Kind::RedisStreams => Streams::CAPABILITIES,
            Kind::JetStream => NatsJetStream::CAPABILITIES,
            Kind::RabbitMq => RabbitMq::CAPABILITIES,
        }
    }

    /// Connects; the embedded one keeps its file in `folder`, the others are servers at `url`.
    pub(crate) async fn connect(self, folder: &Path, url: &str) -> Result<Roles> {
        let connect = Connect { name: "default".into(), folder: folder.into(), clock: Clock::system(), admin: None, topics: Vec::new() };
        Ok(match self {
            Kind::Memory => Memory::connect(Default::default(), connect).await?,
            Kind::Embedded => Embedded::connect(Default::default(), connect).await?,
            Kind::RedisStreams => Streams::connect(at(url)?, connect).await?,
            Kind::JetStream => NatsJetStream::connect(at(url)?, connect).await?,
            Kind::RabbitMq => RabbitMq::connect(at(url)?, connect).await?,
        })
    }
}

/// A server's configuration with nothing but its address.
fn at<C: DeserializeOwned>(url: &str) -> Result<C> {
    Ok(serde_json::from_value(serde_json::json!({ "url": url }))?)
}

/// Runs what measures on a runtime like the binary's.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> Result<T> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work))
}

/// `count` messages of `bytes` bytes for `IN`, with keys that come round.
pub(crate) fn outbox(first: u64, count: usize, bytes: usize, keys: u64) -> Outbox {
    let (mut outbox, payload) = (Outbox::default(), vec![b'x'; bytes]);
    for i in first..first + count as u64 {
        let key = (keys > 0).then(|| format!("key-{}", i % keys));
        let message = Message {
            id: "",
            topic: IN,
            key: key.as_ref().map(String::as_bytes),
            payload: Some(&payload),
            headers: std::iter::empty(),
            timestamp: Clock::system().now(),
            attempt: 1,
        };
        outbox.push(&message, 0, 0);
    }
    outbox
}

/// A message for `IN` with that payload.
pub(crate) fn one(payload: &[u8]) -> Outbox {
    let mut outbox = Outbox::default();
    let headers = std::iter::empty();
    outbox.push(&Message { id: "", topic: IN, key: None, payload: Some(payload), headers, timestamp: 1, attempt: 1 }, 0, 0);
    outbox
}

/// Publishes a message by itself.
pub(crate) fn publish_one(roles: &Roles, payload: &[u8]) -> impl Future<Output = Result<()>> + Send + use<> {
    let (roles, outbox) = (roles.clone(), one(payload));
    async move { publish(&roles, &outbox).await }
}

/// Publishes an outbox, all of which must be taken.
pub(crate) async fn publish(roles: &Roles, outbox: &Outbox) -> Result<()> {
    let publisher = roles.publisher.as_ref().context("it publishes")?;
    publisher.publish(outbox).await?.into_iter().try_for_each(|answer| answer.map(drop))?;
    Ok(())
}

/// Lets `count` messages wait.
pub(crate) async fn fill(roles: &Roles, count: u64, bytes: usize, keys: u64) -> Result<()> {
    let mut first = 0;
    while first < count {
        let now = FILL.min(usize::try_from(count - first)?);
        publish(roles, &outbox(first, now, bytes, keys)).await?;
        first += now as u64;
    }
    Ok(())
}

/// Answers at once: that all is well, or what it is made to say.
pub(crate) struct Native(pub(crate) Option<Failure>);

impl Handler for Native {
    async fn handle(&self, call: Call) -> Result<Done, Crash> {
        let handled = u32::try_from(call.len()).expect("a call is bounded far below 2^32 messages");
        let failures = self.0.iter().flat_map(|failure| (0..handled).map(|i| (i, failure.clone()))).collect();
        Ok(Done { handled, failures, ..Done::default() })
    }
}

/// A runtime as the binary makes it, without a cache on disk.
pub(crate) fn runtime() -> Result<Runtime> {
    Ok(Runtime::new(&Settings::default())?)
}

/// A handler of a test guest.
pub(crate) fn wasm(runtime: &Runtime, guest: Guest, reuse: Reuse) -> Result<WasmHandler> {
    let module = runtime.load(&guests::path(guest))?;
    Ok(WasmHandler::new(runtime, &module, HandlerSettings { reuse, ..HandlerSettings::new("bench") })?)
}

/// What is consumed.
pub(crate) struct Consume<'a> {
    pub(crate) kind: Kind,
    pub(crate) roles: &'a Roles,
    pub(crate) group: String,
    pub(crate) order: Order,
    /// How many settlements are not measured, so that what a group does once, when it is joined, is not.
    pub(crate) warm_up: u64,
    /// Where to stop.
    pub(crate) messages: u64,
}

impl<'a> Consume<'a> {
    /// So many messages, without order.
    pub(crate) fn new(kind: Kind, roles: &'a Roles, messages: u64) -> Self {
        Consume { kind, roles, group: "bench".into(), order: Order::None, warm_up: 0, messages }
    }

    /// Runs a subscription until so many messages are settled, and measures it from joining the group, or the end of the warm-up, to the last
    /// settlement.
    pub(crate) async fn run(&self, handler: impl Handler) -> Result<Sample> {
        let mut watch = Watch::start();
        let counted = Arc::new(Counted::default());
        let running = self.start(handler, &counted);
        let mut before = 0;
        if self.warm_up > 0 {
            counted.reached(self.warm_up).await;
            (before, watch) = (counted.messages.load(Relaxed), Watch::start());
        }
        counted.reached(self.messages).await;
        let settled = counted.messages.load(Relaxed);
        let batch = settled as f64 / counted.rounds.load(Relaxed) as f64;
        let sample = watch.stop(settled - before);
        running.end().await?;
        Ok(Sample { batch: Some(batch), ..sample })
    }

    /// Starts a subscription that counts what it settles.
    pub(crate) fn start(&self, handler: impl Handler, counted: &Arc<Counted>) -> Running {
        let consumer = self.roles.consumer.clone().expect("all of them consume");
        let subscription = Subscription {
            policy: self.policy(),
            handler: Arc::new(handler),
            consumer: Arc::new(Counting { consumer, counted: counted.clone() }),
            clock: Clock::system(),
            metrics: Metrics::default(),
            status: Arc::new(Status::default()),
            gate: Arc::new(Gate::default()),
        };
        let (mut tasks, drain) = (JoinSet::new(), CancellationToken::new());
        tasks.spawn(subscription.run(drain.clone(), CancellationToken::new()));
        Running { tasks, drain }
    }

    fn policy(&self) -> Policy {
        let outlet = Outlet {
            broker: "default".into(),
            publisher: self.roles.publisher.clone().expect("all of them publish"),
            capabilities: self.kind.capabilities(),
            max_message_size: 1 << 20,
            published: Arc::default(),
        };
        let topic = |name: &str| Pattern::new(name).expect("a plain name");
        Policy {
            info: Arc::new(SubscriptionInfo {
                name: "bench/in".into(),
                handler: "bench".into(),
                group: Some(self.group.clone()),
                broker: "default".into(),
                order: self.order,
                max_attempts: 5,
            }),
            subscribe: Subscribe {
                topics: vec![topic(IN)],
                group: Some(self.group.clone()),
                start: Start::Earliest,
                order: self.order,
                fetch: Fetch { max_messages: IN_FLIGHT, max_wait: Duration::from_secs(1) },
                max_in_flight: IN_FLIGHT,
                delays: Vec::new(),
                dedup: None,
                own: OwnKeys::default(),
            },
            delivery: Delivery::AtLeastOnce,
            concurrency: 16,
            max_bytes_in_flight: 64 << 20,
            batching: Batching::default(),
            retry: RetryPolicy::default(),
            dead_letter: DeadLetterPolicy::default(),
            breaker: None,
            max_deliveries: 20,
            dedup: None,
            limits: Limits::default(),
            outlets: Outlets {
                brokers: vec![outlet.clone()],
                grants: vec![Grant { topics: topic(OUT), alias: None, broker: 0 }],
                output: Some(OUT.into()),
            },
            home: Some(outlet),
            component: "bench".into(),
            reconnect: Reconnect::default(),
            seed: 1,
        }
    }
}

/// A subscription that runs.
pub(crate) struct Running {
    tasks: JoinSet<Result<(), BrokerError>>,
    drain: CancellationToken,
}

impl Running {
    /// Ends it.
    pub(crate) async fn end(mut self) -> Result<()> {
        self.drain.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// Counts what is settled.
#[derive(Default)]
pub(crate) struct Counted {
    messages: AtomicU64,
    rounds: AtomicU64,
    wanted: AtomicU64,
    reached: Notify,
}

impl Counted {
    /// Waits until so many messages are settled.
    pub(crate) async fn reached(&self, messages: u64) {
        self.wanted.store(messages, Relaxed);
        while self.messages.load(Relaxed) < messages {
            self.reached.notified().await;
        }
    }

    fn settled(&self, messages: u64) {
        self.rounds.fetch_add(1, Relaxed);
        let all = self.messages.fetch_add(messages, Relaxed) + messages;
        if all >= self.wanted.load(Relaxed) {
            self.reached.notify_one();
        }
    }
}

/// A consumer whose lanes' settlements are counted.
struct Counting {
    consumer: Arc<dyn Consumer>,
    counted: Arc<Counted>,
}

impl Consumer for Counting {
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Lanes, BrokerError>> {
        Box::pin(async move {
            let counted = self.counted.clone();
            let lanes = self.consumer.subscribe(subscribe).await?;
            let count = move |lane: Lane| Lane { acks: Box::new(CountingAcks { acks: lane.acks, counted: counted.clone() }), ..lane };
            Ok(lanes.map(move |lane| lane.map(&count)).boxed())
        })
    }
}

struct CountingAcks {
    acks: Box<dyn Acks>,
    counted: Arc<Counted>,
}

impl Acks for CountingAcks {
    fn settle<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<(), SettleError>> {
        Box::pin(async move {
            self.acks.settle(round).await?;
            self.counted.settled((round.finished.len() + round.again.len()) as u64);
            Ok(())
        })
    }
}
