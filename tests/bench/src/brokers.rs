//! The servers: each vendor's client alone, used as well as it can be, next to Longshore on the same server.
//!
//! Both sides acknowledge at the same place, after what belongs to a message was confirmed, and both keep messages as durably.

mod nats;
mod rabbitmq;
mod redis;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Result;
use futures::future::BoxFuture;
use longshore_core::{Call, Clock, Crash, Done, Failure, Handler, TopicSettings};
use longshore_runtime::Reuse;
use longshore_testkit::guests::Guest;

use crate::Scale;
use crate::host::{self, Consume, Counted, FILL, IN, Kind, Native, OUT, block_on, fill, outbox, runtime};
use crate::pace::{self, Late, Lateness, stamped};
use crate::row::{Goal, Measure, Round, Row, Server, Unit};
use crate::sample::{Sample, Watch};

/// Messages a second of the paced runs.
const PACE: u64 = 5000;
/// What is read before it is measured: one in so many.
const WARM_UP: u64 = 20;
/// Of so many messages one waits for a retry, in the rows with retries.
const RETRIED: u64 = 100;

/// What Longshore tells of a message besides its payload; the client alone does so too.
struct Told {
    /// When it was published; milliseconds since the Unix epoch.
    timestamp: String,
    /// Of what was made from a message that has an id.
    made: Option<Made>,
}

/// What is told of a message that was made from another.
struct Made {
    /// From that one's, so that it is the same if it is made again.
    id: String,
    /// That one's id: headers [`headers::CORRELATION_ID`] and [`headers::CAUSATION_ID`].
    origin: String,
}

impl Told {
    fn now() -> Told {
        Told { timestamp: Clock::system().now().to_string(), made: None }
    }

    fn from(origin: String) -> Told {
        Told { made: Some(Made { id: format!("{origin}/0"), origin }), ..Told::now() }
    }
}

/// A client alone.
trait Raw: Send + Sync + Sized + 'static {
    fn connect(url: &str) -> impl Future<Output = Result<Self>>;

    /// Publishes to `IN`, many at once, and waits until the server has confirmed all.
    fn publish(&self, count: u64, payload: &[u8]) -> impl Future<Output = Result<()>>;

    /// Publishes one message to `IN` by itself.
    fn publish_one(self: Arc<Self>, payload: Vec<u8>) -> BoxFuture<'static, Result<()>>;

    /// Begins to consume `IN`.
    fn subscribe(&mut self) -> impl Future<Output = Result<()>>;

    /// Reads at least `count` and acknowledges them, after each is published to `OUT` where that is asked for. Says how many.
    fn consume(&mut self, count: u64, forward: bool, seen: &mut dyn FnMut(&[u8])) -> impl Future<Output = Result<u64>>;
}

pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(rows_of::<redis::Client>(scale, "Redis streams (baseline: redis-rs)", Kind::RedisStreams, Server::Redis, 200_000));
    rows.extend(rows_of::<nats::Client>(scale, "JetStream (baseline: async-nats)", Kind::JetStream, Server::Nats, 100_000));
    rows.extend(rows_of::<rabbitmq::Client>(scale, "RabbitMQ (baseline: lapin)", Kind::RabbitMq, Server::RabbitMq, 50_000));
    rows
}

fn rows_of<R: Raw>(scale: Scale, section: &'static str, kind: Kind, server: Server, count: u64) -> Vec<Row> {
    let row = |title: String, goal, baseline: Measure, longshore: Measure| Row {
        section,
        title,
        unit: Unit::PerSecond,
        baseline: Some(baseline),
        longshore,
        goal,
        server: Some(server),
    };
    let mut rows = Vec::new();
    for (bytes, size) in [(100, "100 B"), (1024, "1 KiB")] {
        let count = scale.of(count);
        rows.push(row(
            format!("publish, {size}"),
            Goal::Share(0.9),
            Box::new(move |round| publish_raw::<R>(kind, round, count, bytes)),
            Box::new(move |round| publish(kind, round, count, bytes)),
        ));
        for (title, guest) in [("consume → Wasm handler → ack", Guest::Bench), ("consume → Wasm handler → publish → ack", Guest::Echo)]
        {
            rows.push(row(
                format!("{title}, {size}"),
                Goal::Share(0.9),
                Box::new(move |round| consume_raw::<R>(kind, round, count, bytes, guest == Guest::Echo)),
                Box::new(move |round| consume(kind, round, count, bytes, guest)),
            ));
        }
        let count = scale.of(PACE * 5);
        rows.push(row(
            format!("publish → Wasm handler, {PACE} a second, {size}"),
            Goal::LaterBy(1.0),
            Box::new(move |round| paced_raw::<R>(kind, round, count, bytes)),
            Box::new(move |round| paced(kind, round, count, bytes)),
        ));
    }
    let count = scale.of(count);
    rows.push(row(
        "consume, 1 % put off for a retry (baseline: none)".into(),
        Goal::Share(0.95),
        Box::new(move |round| retried(kind, round, count, Native(None))),
        Box::new(move |round| retried(kind, round, count, OneIn { of: RETRIED, seen: AtomicU64::new(0) })),
    ));
    rows
}

/// Connects to the row's server, with topics that are empty.
async fn connect(kind: Kind, round: &Round) -> Result<longshore_core::Roles> {
    let roles = kind.connect(&round.folder, &round.url).await?;
    let topics = roles.topics.clone().expect("all of them have topics");
    for topic in [IN, OUT] {
        // It is there unless this is the first measurement.
        let _ = topics.delete(topic).await;
        topics.create(topic, &TopicSettings::default()).await?;
    }
    Ok(roles)
}

fn publish(kind: Kind, round: &Round, count: u64, bytes: usize) -> Result<Sample> {
    block_on(async {
        let roles = connect(kind, round).await?;
        let outbox = outbox(0, FILL, bytes, 0);
        host::publish(&roles, &outbox).await?;
        let watch = Watch::start();
        for _ in 0..count / FILL as u64 {
            host::publish(&roles, &outbox).await?;
        }
        Ok(watch.stop(count))
    })?
}

fn publish_raw<R: Raw>(kind: Kind, round: &Round, count: u64, bytes: usize) -> Result<Sample> {
    block_on(async {
        connect(kind, round).await?;
        let (raw, payload) = (R::connect(&round.url).await?, vec![b'x'; bytes]);
        raw.publish(FILL as u64, &payload).await?;
        let watch = Watch::start();
        raw.publish(count, &payload).await?;
        Ok(watch.stop(count))
    })?
}

fn consume(kind: Kind, round: &Round, count: u64, bytes: usize, guest: Guest) -> Result<Sample> {
    block_on(async {
        let roles = connect(kind, round).await?;
        fill(&roles, count, bytes, 0).await?;
        let handler = host::wasm(&runtime()?, guest, Reuse::default())?;
        handler.smoke().await?;
        Consume { warm_up: count / WARM_UP, ..Consume::new(kind, &roles, count) }.run(handler).await
    })?
}

fn consume_raw<R: Raw>(kind: Kind, round: &Round, count: u64, bytes: usize, forward: bool) -> Result<Sample> {
    block_on(async {
        connect(kind, round).await?;
        let (mut raw, payload) = (R::connect(&round.url).await?, vec![b'x'; bytes]);
        raw.publish(count, &payload).await?;
        raw.subscribe().await?;
        let before = raw.consume(count / WARM_UP, forward, &mut |_| {}).await?;
        let watch = Watch::start();
        let seen = raw.consume(count - before, forward, &mut |_| {}).await?;
        Ok(watch.stop(seen))
    })?
}

fn paced(kind: Kind, round: &Round, count: u64, bytes: usize) -> Result<Sample> {
    block_on(async {
        let roles = connect(kind, round).await?;
        let lateness = Lateness::new();
        let handler = Late { handler: host::wasm(&runtime()?, Guest::Bench, Reuse::default())?, lateness: lateness.clone() };
        let counted = Arc::new(Counted::default());
        let running = Consume::new(kind, &roles, count).start(handler, &counted);
        host::publish_one(&roles, &stamped(lateness.start, tokio::time::Instant::now(), bytes)).await?;
        counted.reached(1).await;
        lateness.percentiles();
        let watch = Watch::start();
        pace::publish(count, PACE, |due| host::publish_one(&roles, &stamped(lateness.start, due, bytes))).await?;
        counted.reached(count + 1).await;
        let sample = watch.stop(count);
        running.end().await?;
        Ok(Sample { latency: lateness.percentiles(), ..sample })
    })?
}

fn paced_raw<R: Raw>(kind: Kind, round: &Round, count: u64, bytes: usize) -> Result<Sample> {
    block_on(async {
        connect(kind, round).await?;
        let (sender, mut raw) = (Arc::new(R::connect(&round.url).await?), R::connect(&round.url).await?);
        raw.subscribe().await?;
        let lateness = Lateness::new();
        let watch = Watch::start();
        let publish = pace::publish(count, PACE, |due| Arc::clone(&sender).publish_one(stamped(lateness.start, due, bytes)));
        let mut seen = |payload: &[u8]| lateness.saw(std::iter::once(payload));
        let (published, consumed) = futures::join!(publish, raw.consume(count, false, &mut seen));
        published?;
        consumed?;
        Ok(Sample { latency: lateness.percentiles(), ..watch.stop(count) })
    })?
}

/// Puts one in so many off for an hour.
struct OneIn {
    of: u64,
    seen: AtomicU64,
}

impl Handler for OneIn {
    async fn handle(&self, call: Call) -> Result<Done, Crash> {
        let handled = u32::try_from(call.len()).expect("a call is bounded far below 2^32 messages");
        let before = self.seen.fetch_add(u64::from(handled), Relaxed);
        let put_off = |i: &u32| (before + u64::from(*i)).is_multiple_of(self.of);
        let failures = (0..handled).filter(put_off).map(|i| (i, Failure::Snooze(Duration::from_secs(3600)))).collect();
        Ok(Done { handled, failures, ..Done::default() })
    }
}

fn retried(kind: Kind, round: &Round, count: u64, handler: impl Handler) -> Result<Sample> {
    block_on(async {
        let roles = connect(kind, round).await?;
        fill(&roles, count, 100, 0).await?;
        Consume { warm_up: count / WARM_UP, ..Consume::new(kind, &roles, count) }.run(handler).await
    })?
}
