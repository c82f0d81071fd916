//! Instances: a new one for every call, and what one costs that waits.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use longshore_core::{Batch, Call, Facts, Handler, Message, Order, Receipt, SubscriptionInfo};
use longshore_runtime::Reuse;
use longshore_testkit::guests::Guest;

use crate::Scale;
use crate::host::{block_on, runtime, wasm};
use crate::row::{Goal, Row, Unit};
use crate::sample::{Sample, Watch, memory};

const SECTION: &str = "instances";
/// Instances that wait; the pool's bound is 1,000.
const IDLE: usize = 900;

pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    let calls = scale.of(100_000);
    vec![
        Row {
            section: SECTION,
            title: "calls of one message, `reuse = \"fresh\"`, one thread (baseline: reuse = 10000)".into(),
            unit: Unit::PerSecond,
            baseline: Some(Box::new(move |_| calls_of_one(calls, Reuse::default()))),
            longshore: Box::new(move |_| calls_of_one(calls, Reuse::Fresh)),
            goal: Goal::AtLeast(100_000.0),
            server: None,
        },
        Row {
            section: SECTION,
            title: "memory of an idle Rust instance".into(),
            unit: Unit::Bytes,
            baseline: None,
            longshore: Box::new(|_| idle()),
            goal: Goal::AtMost(64.0 * 1024.0),
            server: None,
        },
    ]
}

fn calls_of_one(calls: u64, reuse: Reuse) -> Result<Sample> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(async {
        let (handler, call) = (wasm(&runtime()?, Guest::Bench, reuse)?, call());
        handler.handle(call.clone()).await?;
        let watch = Watch::start();
        for _ in 0..calls {
            handler.handle(call.clone()).await?;
        }
        Ok(watch.stop(calls))
    })
}

/// What the process grows by with each handler that has answered one call and waits for the next.
fn idle() -> Result<Sample> {
    block_on(async {
        let (runtime, call) = (runtime()?, call());
        let (mut handlers, mut before) = (Vec::new(), 0.0);
        for i in 0..=IDLE {
            let handler = wasm(&runtime, Guest::Bench, Reuse::default())?;
            handler.handle(call.clone()).await?;
            handlers.push(handler);
            if i == 0 {
                before = memory("self", "VmRSS").context("no /proc/self/status")?;
            }
        }
        let after = memory("self", "VmRSS").context("no /proc/self/status")?;
        Ok(Sample { value: (after - before) / IDLE as f64, ..Sample::default() })
    })?
}

fn call() -> Call {
    let mut batch = Batch::default();
    let (payload, headers) = ([b'x'; 100], std::iter::empty());
    let message = Message { id: "in/1", topic: "in", key: None, payload: Some(&payload), headers, timestamp: 1, attempt: 1 };
    batch.push(&message, Receipt { position: 1, token: &[] }, Facts::default());
    let subscription = SubscriptionInfo {
        name: "bench/in".into(),
        handler: "bench".into(),
        group: Some("bench".into()),
        broker: "default".into(),
        order: Order::None,
        max_attempts: 5,
    };
    Call { batch: Arc::new(batch), from: 0, to: 1, subscription: Arc::new(subscription), partition: None }
}
