//! The embedded broker next to straight SQLite: throughput as fast as it goes, and latency at a pace that both can keep.

use std::sync::Arc;

use anyhow::Result;
use longshore_runtime::Reuse;
use longshore_testkit::guests::Guest;
use tokio::time::Instant;

use crate::Scale;
use crate::host::{self, Consume, Counted, Kind, block_on, fill, outbox, runtime};
use crate::pace::{self, Late, Lateness, stamped};
use crate::row::{Goal, Measure, Round, Row, Unit};
use crate::sample::{Sample, Watch, percentiles};
use crate::sqlite::Sqlite;

const SECTION: &str = "embedded broker, durable (baseline: straight SQLite)";
/// Messages a second of the paced runs.
const PACE: u64 = 1000;

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
    Row { section: SECTION, title, unit: Unit::PerSecond, baseline: Some(baseline), longshore, goal, server: None }
}

fn publish(_: &Round, count: u64, batch: usize, bytes: usize) -> Result<Sample> {
    let folder = tempfile::tempdir()?;
    block_on(async {
        let roles = Kind::Embedded.connect(folder.path(), "").await?;
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
        let roles = Kind::Embedded.connect(folder.path(), "").await?;
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

fn paced(_: &Round, count: u64, bytes: usize) -> Result<Sample> {
    let folder = tempfile::tempdir()?;
    block_on(async {
        let roles = Kind::Embedded.connect(folder.path(), "").await?;
        let lateness = Lateness::new();
        let handler = Late { handler: host::wasm(&runtime()?, Guest::Bench, Reuse::default())?, lateness: lateness.clone() };
        let counted = Arc::new(Counted::default());
        let running = Consume::new(Kind::Embedded, &roles, count).start(handler, &counted);
        let watch = Watch::start();
        pace::publish(count, PACE, |due| host::publish_one(&roles, &stamped(lateness.start, due, bytes))).await?;
        counted.reached(count).await;
        let sample = watch.stop(count);
        running.end().await?;
        Ok(Sample { latency: lateness.percentiles(), ..sample })
    })?
}

/// One thread does both: it writes a message durably, reads it back, and moves the mark durably.
fn sqlite_paced(_: &Round, count: u64, bytes: usize) -> Result<Sample> {
    let folder = tempfile::tempdir()?;
    let mut sqlite = Sqlite::create(folder.path())?;
    let (start, mut seen) = (Instant::now(), Vec::new());
    let watch = Watch::start();
    pace::pace(count, PACE, |due| {
        sqlite.publish(&host::one(&stamped(start, due, bytes)))?;
        sqlite.read(1)?;
        seen.push(due.elapsed());
        sqlite.settle(false)
    })?;
    Ok(Sample { latency: percentiles(seen), ..watch.stop(count) })
}
