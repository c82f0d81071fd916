//! A host as tests run it: one subscription on a scripted broker, that can be drained, aborted or killed.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{
    Batching, BrokerError, DeadLetterPolicy, Delivery, Fetch, Grant, Handler, Limits, Order, Outlets, OwnKeys, Pattern, RetryPolicy, Start,
    Subscribe, SubscriptionInfo,
};
use longshore_engine::{Gate, Metrics, Policy, Reconnect, Status, Subscription};
use longshore_testkit::scripted::{Broker, History, TOPIC, Watched};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The group of every test.
pub(crate) const GROUP: &str = "g";
/// Where its dead letters go.
pub(crate) const DEAD_LETTERS: &str = "orders.g.dlq";
/// The outputs' topic on the broker itself.
pub(crate) const OUT: &str = "out";
/// The outputs' topic on another broker.
pub(crate) const FAR: &str = "far";

/// A policy with plain defaults: no order, one message a call, short retries without jitter. Outputs go to `out` and, on `far`, to `far`.
pub(crate) fn policy(broker: &Broker, far: Option<&Broker>, order: Order) -> Policy {
    let pattern = |topic: &str| Pattern::new(topic).expect("a plain topic");
    let grant = |topic: &str, broker| Grant { topics: pattern(topic), alias: None, broker };
    let brokers: Vec<_> = [Some(broker), far].into_iter().flatten().map(Broker::outlet).collect();
    let grants = (0..brokers.len()).map(|b| grant(if b == 0 { OUT } else { FAR }, b)).collect();
    Policy {
        info: Arc::new(SubscriptionInfo {
            name: "test/orders".into(),
            handler: "test".into(),
            group: Some(GROUP.into()),
            broker: brokers[0].broker.clone(),
            order,
            max_attempts: 3,
        }),
        subscribe: Subscribe {
            topics: vec![pattern(TOPIC)],
            group: Some(GROUP.into()),
            start: Start::Earliest,
            order,
            fetch: Fetch { max_messages: 100, max_wait: Duration::from_secs(1) },
            max_in_flight: 100,
            delays: Vec::new(),
            dedup: None,
            own: OwnKeys::default(),
        },
        delivery: Delivery::AtLeastOnce,
        concurrency: 4,
        max_bytes_in_flight: 1 << 20,
        batching: Batching::Adaptive { max_messages: 100 },
        retry: RetryPolicy { max_attempts: 3, jitter: 0.0, ..RetryPolicy::default() },
        dead_letter: DeadLetterPolicy::default(),
        breaker: None,
        max_deliveries: 20,
        dedup: None,
        limits: Limits::default(),
        home: Some(brokers[0].clone()),
        outlets: Outlets { brokers, grants, output: Some(OUT.into()) },
        component: "test@1".into(),
        reconnect: Reconnect::default(),
        seed: 1,
    }
}

/// A host that runs.
pub(crate) struct Host {
    pub(crate) gate: Arc<Gate>,
    pub(crate) status: Arc<Status>,
    pub(crate) metrics: Metrics,
    drain: CancellationToken,
    abort: CancellationToken,
    task: JoinSet<Result<(), BrokerError>>,
}

impl Host {
    /// Starts host number `number`.
    pub(crate) fn start<H: Handler>(number: u32, broker: &Broker, policy: Policy, handler: H) -> Self {
        let history: &History = broker.history();
        let (gate, status) = (Arc::new(Gate::default()), Arc::new(Status::default()));
        let metrics = Metrics::default();
        let (drain, abort) = (CancellationToken::new(), CancellationToken::new());
        let subscription = Subscription {
            policy,
            handler: Arc::new(Watched { host: number, history: history.clone(), handler }),
            consumer: broker.consumer(number),
            clock: history.clock(),
            metrics: metrics.clone(),
            status: Arc::clone(&status),
            gate: Arc::clone(&gate),
        };
        let mut task = JoinSet::new();
        task.spawn(subscription.run(drain.clone(), abort.clone()));
        Host { gate, status, metrics, drain, abort, task }
    }

    /// Tells it to stop; it finishes what runs.
    pub(crate) fn drain(&self) {
        self.drain.cancel();
    }

    /// Tells it to let go of what runs.
    pub(crate) fn abort(&self) {
        self.drain.cancel();
        self.abort.cancel();
    }

    /// Waits until it has ended: `None` if it has not after `seconds`.
    pub(crate) async fn ended(&mut self, seconds: u64) -> Option<Result<(), BrokerError>> {
        let joined = tokio::time::timeout(Duration::from_secs(seconds), self.task.join_next()).await.ok()??;
        Some(joined.expect("the subscription does not panic"))
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> Option<Result<(), BrokerError>> {
        self.task.try_join_next().map(|joined| joined.expect("the subscription does not panic"))
    }

    /// Dies: nothing of it goes on, nothing is given back.
    pub(crate) async fn kill(mut self) {
        self.task.shutdown().await;
        // Its lanes' tasks are dropped by the scheduler, one after another.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}
