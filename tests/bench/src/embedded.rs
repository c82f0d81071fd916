//! The embedded broker next to straight SQLite: throughput as fast as it goes, and latency at a pace that both can keep.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use longshore_core::{Call, Crash, Done, Handler, Message, Outbox};
use longshore_runtime::{Reuse, WasmHandler};
use longshore_testkit::guests::Guest;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Scale;
use crate::host::{self, Consume, Counted, IN, Kind, block_on, fill, outbox, runtime};
use crate::row::{Goal, Measure, Round, Row, Unit};
use crate::sample::{Sample, Watch, percentiles};
use crate::sqlite::Sqlite;

const SECTION: &str = "embedded broker, durable (baseline: straight SQLite)";
/// Messages a second of the paced runs.
const PACE: u64 = 1000;
/// Messages that may be late at once in a paced run.
const LATE: usize = 10_000;

pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    for (bytes, size) in [(100, "100 B"), (1024, "1 KiB")] {
        for batch in [1, 100, 1000] {
            let count = scale.of((batch as u64 * 3000).min(if bytes > 100 { 100_000 } else { 300_000 }));
            rows.push(row(
                format!("publish by {batch}, {size}"),
                Goal::Share(0.8),
                Box::new(move |round| sqlite_publish(round, count, batch, bytes)),
                Box::new(move |round| publish(round, count, batch, bytes)),
            ));
        }
        let count = scale.of(if bytes > 100 { 100_000 } else { 300_000 });
        for (title, guest) in [("consume → Wasm handler → ack", Guest::Bench), ("consume → Wasm handler → publish → ack", Guest::Echo)]
        {
            rows.push(row(
                format!("{title}, {size}"),
                Goal::Share(0.8),
                Box::new(move |round| sqlite_consume(round, count, bytes, guest == Guest::Echo)),
                Box::new(move |round| consume(round, count, bytes, guest)),
            ));
        }
        let count = scale.of(PACE * 5);
        rows.push(row(
            format!("publish → Wasm handler, {PACE} a second, {size}"),
            Goal::None,
            Box::new(move |round| sqlite_paced(round, count, bytes)),
            Box::new(move |round| paced(round, count, bytes)),
        ));
    }
    rows
}

fn row(title: String, goal: Goal, baseline: Measure, longshore: Measure) -> Row {
    Row { section: SECTION, title, unit: Unit::PerSecond, baseline: Some(baseline), longshore, goal }
}

fn publish(_: &Round, count: u64, batch: usize, bytes: usize) -> Result<Sample> {
    let folder = tempfile::tempdir()?;
    block_on(async {
        let roles = Kind::Embedded.connect(folder.path()).await?;
        let outbox = outbox(0, batch, bytes, 0);
        let watch = Watch::start();
        for _ in 0..count / batch as u64 {
            host::publish(&roles, &outbox).await?;
        }
        Ok(watch.stop(count))
    })?
}

fn sqlite_publish(_: &Round, count: u64, batch: usize, bytes: usize) -> Result<Sample> {
    let folder = tempfile::tempdir()?;
    let mut sqlite = Sqlite::create(folder.path())?;
    let outbox = outbox(0, batch, bytes, 0);
    let watch = Watch::start();
    for _ in 0..count / batch as u64 {
        sqlite.publish(&outbox)?;
    }
    Ok(watch.stop(count))
}

fn consume(_: &Round, count: u64, bytes: usize, guest: Guest) -> Result<Sample> {
    let folder = tempfile::tempdir()?;
    block_on(async {
        let roles = Kind::Embedded.connect(folder.path()).await?;
        fill(&roles, count, bytes, 0).await?;
        let handler = host::wasm(&runtime()?, guest, Reuse::default())?;
        handler.smoke().await?;
        Consume::new(Kind::Embedded, &roles, count).run(handler).await
    })?
}

/// In as many transactions as Longshore took.
fn sqlite_consume(round: &Round, count: u64, bytes: usize, publish: bool) -> Result<Sample> {
    let folder = tempfile::tempdir()?;
    let mut sqlite = Sqlite::create(folder.path())?;
    for first in (0..count).step_by(host::FILL) {
        sqlite.publish(&outbox(first, host::FILL, bytes, 0))?;
    }
    let batch = round.batch.map_or(host::FILL, |batch| batch.round().max(1.0) as usize);
    let watch = Watch::start();
    while sqlite.read(batch)? > 0 {
        sqlite.settle(publish)?;
    }
    Ok(watch.stop(count))
}

/// Calls `send` with the time when each message is due, when it is; falls behind rather than skipping one.
fn pace(count: u64, mut send: impl FnMut(Instant) -> Result<()>) -> Result<()> {
    let start = Instant::now();
    for i in 0..count {
        let due = start + Duration::from_nanos(1_000_000_000 / PACE * i);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        send(due)?;
    }
    Ok(())
}

/// A message whose payload begins with when it was due, in nanoseconds since `start`.
fn stamped(start: Instant, due: Instant, bytes: usize) -> Outbox {
    let mut payload = vec![b'x'; bytes];
    payload[..8].copy_from_slice(&(due.duration_since(start).as_nanos() as u64).to_le_bytes());
    let mut outbox = Outbox::default();
    let headers = std::iter::empty();
    outbox.push(&Message { id: "", topic: IN, key: None, payload: Some(&payload), headers, timestamp: 1, attempt: 1 }, 0, 0);
    outbox
}

/// Notes how late each message is once it was handled.
struct Late {
    handler: WasmHandler,
    start: Instant,
    seen: Arc<Mutex<Vec<Duration>>>,
}

impl Handler for Late {
    async fn handle(&self, call: Call) -> Result<Done, Crash> {
        let done = self.handler.handle(call.clone()).await;
        let now = self.start.elapsed();
        let mut seen = self.seen.lock().expect("nothing panics while it holds it");
        for i in call.from..call.to {
            let stamp = call.batch.row(i).payload().and_then(|p| p.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes));
            seen.push(now.saturating_sub(Duration::from_nanos(stamp)));
        }
        done
    }
}

fn paced(_: &Round, count: u64, bytes: usize) -> Result<Sample> {
    let folder = tempfile::tempdir()?;
    block_on(async {
        let roles = Kind::Embedded.connect(folder.path()).await?;
        let (start, seen) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let handler = Late { handler: host::wasm(&runtime()?, Guest::Bench, Reuse::default())?, start, seen: seen.clone() };
        let counted = Arc::new(Counted::default());
        let running = Consume::new(Kind::Embedded, &roles, count).start(handler, &counted);
        let (sender, mut messages) = mpsc::channel(LATE);
        let watch = Watch::start();
        let pacer = std::thread::spawn(move || pace(count, |due| Ok(sender.blocking_send(stamped(start, due, bytes))?)));
        let mut publishing = JoinSet::new();
        while let Some(message) = messages.recv().await {
            let roles = roles.clone();
            publishing.spawn(async move { host::publish(&roles, &message).await });
        }
        pacer.join().expect("pacing does not panic")?;
        publishing.join_all().await.into_iter().collect::<Result<()>>()?;
        counted.reached(count).await;
        let sample = watch.stop(count);
        running.end().await?;
        let seen = std::mem::take(&mut *seen.lock().expect("nothing panics while it holds it"));
        Ok(Sample { latency: percentiles(seen), ..sample })
    })?
}

/// One thread does both: it writes a message durably, reads it back, and moves the mark durably.
fn sqlite_paced(_: &Round, count: u64, bytes: usize) -> Result<Sample> {
    let folder = tempfile::tempdir()?;
    let mut sqlite = Sqlite::create(folder.path())?;
    let (start, mut seen) = (Instant::now(), Vec::new());
    let watch = Watch::start();
    pace(count, |due| {
        sqlite.publish(&stamped(start, due, bytes))?;
        sqlite.read(1)?;
        seen.push(due.elapsed());
        sqlite.settle(false)
    })?;
    Ok(Sample { latency: percentiles(seen), ..watch.stop(count) })
}
