//! What must not make a message dearer: how many wait, how many keys there are, how many retries are open, how many groups.
//!
//! The baseline of each row is the same run with little of it.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use longshore_core::{Failure, Order, Roles};

use crate::Scale;
use crate::host::{Consume, Kind, Native, block_on, fill};
use crate::row::{Goal, Measure, Round, Row, Unit};
use crate::sample::Sample;

const SECTION: &str = "growth (baseline: the same with little of it)";
/// What may be noise, and caches.
const MOST: f64 = 1.2;

pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    let count = scale.of(200_000);
    let millions = if scale.quick { 1 } else { 10 };
    vec![
        row(
            format!("consume, embedded, {millions} M more waiting (1 k)"),
            Box::new(move |round| backlog(round, count, 1000)),
            Box::new(move |round| backlog(round, count, millions * 1_000_000)),
        ),
        row(
            "consume, memory, order by key, 1 M keys (1 k)".into(),
            Box::new(move |_| keys(scale.of(1_000_000), 1000)),
            Box::new(move |_| keys(scale.of(1_000_000), 1_000_000)),
        ),
        row(
            "consume, embedded, 100 k retries open (100)".into(),
            Box::new(move |round| retries(round, count, Order::None, 100)),
            Box::new(move |round| retries(round, count, Order::None, scale.of(100_000))),
        ),
        row(
            "consume, embedded, order by key, 100 k retries open (100)".into(),
            Box::new(move |round| retries(round, count, Order::Key, 100)),
            Box::new(move |round| retries(round, count, Order::Key, scale.of(100_000))),
        ),
        Row {
            section: SECTION,
            title: "first message of a group, embedded, order by key, 100 k retries open (100)".into(),
            unit: Unit::Milliseconds,
            baseline: Some(Box::new(move |round| first(round, 100))),
            longshore: Box::new(move |round| first(round, scale.of(100_000))),
            goal: Goal::None,
            server: None,
        },
        row(
            "publish and consume, embedded, 1,000 groups (1)".into(),
            Box::new(move |round| groups(round, count, 1)),
            Box::new(move |round| groups(round, count, 1000)),
        ),
    ]
}

fn row(title: String, baseline: Measure, longshore: Measure) -> Row {
    Row { section: SECTION, title, unit: Unit::PerSecond, baseline: Some(baseline), longshore, goal: Goal::CpuTimes(MOST), server: None }
}

/// A database that is made in the first round and used by all of them; each round reads with a group of its own.
async fn database(folder: &Path, messages: u64, keys: u64) -> Result<Roles> {
    let is_new = !folder.join("longshore.db").exists();
    let roles = Kind::Embedded.connect(folder, "").await?;
    if is_new {
        fill(&roles, messages, 100, keys).await?;
    }
    Ok(roles)
}

fn backlog(round: &Round, count: u64, waiting: u64) -> Result<Sample> {
    block_on(async {
        let roles = database(&round.folder, count + waiting, 0).await?;
        let consume = Consume { group: format!("round-{}", round.number), ..Consume::new(Kind::Embedded, &roles, count) };
        consume.run(Native(None)).await
    })?
}

fn keys(count: u64, keys: u64) -> Result<Sample> {
    let folder = tempfile::tempdir()?;
    block_on(async {
        let roles = Kind::Memory.connect(folder.path(), "").await?;
        fill(&roles, count, 100, keys).await?;
        Consume { order: Order::Key, ..Consume::new(Kind::Memory, &roles, count) }.run(Native(None)).await
    })?
}

/// The first messages are put off for long; then the others are consumed, whose keys are others.
///
/// Joining a group with order reads the keys that are held, once: that is a row of its own, and the warm-up here.
fn retries(round: &Round, count: u64, order: Order, open: u64) -> Result<Sample> {
    block_on(async {
        let roles = database(&round.folder, open + count, open + count).await?;
        put_off(&roles, round, order, open).await?;
        let consume = group(&roles, round, order, count.saturating_sub(2000));
        Consume { warm_up: 2000, ..consume }.run(Native(None)).await
    })?
}

/// How long the first message takes from joining a group that holds so many keys.
fn first(round: &Round, open: u64) -> Result<Sample> {
    block_on(async {
        let roles = database(&round.folder, open + 10_000, open + 10_000).await?;
        put_off(&roles, round, Order::Key, open).await?;
        let watch = crate::sample::Watch::start();
        let took = tokio::time::Instant::now();
        group(&roles, round, Order::Key, 1).run(Native(None)).await?;
        Ok(Sample { value: took.elapsed().as_secs_f64() * 1e3, ..watch.stop(1) })
    })?
}

async fn put_off(roles: &Roles, round: &Round, order: Order, open: u64) -> Result<()> {
    group(roles, round, order, open).run(Native(Some(Failure::Snooze(Duration::from_secs(3600))))).await.map(drop)
}

fn group<'a>(roles: &'a Roles, round: &Round, order: Order, messages: u64) -> Consume<'a> {
    Consume { group: format!("round-{}", round.number), order, ..Consume::new(Kind::Embedded, roles, messages) }
}

/// The other groups have read something once, and are behind since then.
fn groups(round: &Round, count: u64, groups: usize) -> Result<Sample> {
    let folder = tempfile::tempdir()?;
    block_on(async {
        let roles = Kind::Embedded.connect(folder.path(), "").await?;
        fill(&roles, 1, 100, 0).await?;
        for i in 1..groups {
            Consume { group: format!("idle-{i}"), ..Consume::new(Kind::Embedded, &roles, 1) }.run(Native(None)).await?;
        }
        let watch = crate::sample::Watch::start();
        fill(&roles, count, 100, 0).await?;
        let consume = Consume { group: format!("round-{}", round.number), ..Consume::new(Kind::Embedded, &roles, count) };
        consume.run(Native(None)).await?;
        Ok(watch.stop(count))
    })?
}
