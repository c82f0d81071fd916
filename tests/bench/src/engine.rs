//! The engine alone: the memory broker, a full backlog, a handler that answers at once. What is left is the host's own cost.

use anyhow::Result;
use longshore_core::Order;
use longshore_runtime::Reuse;
use longshore_testkit::guests::Guest;

use crate::Scale;
use crate::host::{self, Consume, Kind, Native, block_on, fill, runtime};
use crate::row::{Goal, Row, Unit};
use crate::sample::Sample;

const SECTION: &str = "engine alone, memory broker (baseline of Wasm rows: the native handler)";

pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    for (bytes, size, count) in [(100, "100 B", 2_000_000), (1024, "1 KiB", 500_000)] {
        let count = scale.of(count);
        rows.push(Row {
            section: SECTION,
            title: format!("native handler, {size}"),
            unit: Unit::PerSecond,
            baseline: None,
            longshore: Box::new(move |_| consume(count, bytes, Order::None, false)),
            goal: Goal::Cpu(200.0),
            server: None,
        });
        rows.push(Row {
            section: SECTION,
            title: format!("Rust Wasm handler, {size}"),
            unit: Unit::PerSecond,
            baseline: Some(Box::new(move |_| consume(count, bytes, Order::None, false))),
            longshore: Box::new(move |_| consume(count, bytes, Order::None, true)),
            goal: Goal::CpuMore(60.0),
            server: None,
        });
    }
    let count = scale.of(1_000_000);
    rows.push(Row {
        section: SECTION,
        title: "native handler, order by key, 1,000 keys, 100 B (baseline: no order)".into(),
        unit: Unit::PerSecond,
        baseline: Some(Box::new(move |_| consume(count, 100, Order::None, false))),
        longshore: Box::new(move |_| consume(count, 100, Order::Key, false)),
        goal: Goal::None,
        server: None,
    });
    rows
}

fn consume(count: u64, bytes: usize, order: Order, wasm: bool) -> Result<Sample> {
    let folder = tempfile::tempdir()?;
    block_on(async {
        let roles = Kind::Memory.connect(folder.path(), "").await?;
        fill(&roles, count, bytes, if order == Order::Key { 1000 } else { 0 }).await?;
        let consume = Consume { order, ..Consume::new(Kind::Memory, &roles, count) };
        if !wasm {
            return consume.run(Native(None)).await;
        }
        let handler = host::wasm(&runtime()?, Guest::Bench, Reuse::default())?;
        handler.smoke().await?;
        consume.run(handler).await
    })?
}
