//! What a call costs: nanoseconds a message for calls of 1, 10, 100 and 1,000 messages, and calls a second with a new instance each.
//!
//! `cargo run --release -p longshore-runtime --example calls -- <component>…`; a component is called with payloads of 100 bytes.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Batch, Call, Facts, Handler, Message, Order, Receipt, SubscriptionInfo};
use longshore_runtime::{HandlerSettings, Module, Reuse, Runtime, Settings, WasmHandler};
use tokio::time::Instant;

/// How long each number is measured.
const SPAN: Duration = Duration::from_secs(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = Runtime::new(&Settings::default())?;
    for path in std::env::args().skip(1) {
        let module = runtime.load(path.as_ref())?;
        println!("{path} ({})", module.world());
        for messages in [1, 10, 100, 1000] {
            let calls = measure(&runtime, &module, Reuse::Calls(u64::MAX), messages).await?;
            let ns = SPAN.as_nanos() as f64 / (calls as f64 * messages as f64);
            println!("  {messages:>5} messages a call: {ns:>8.1} ns a message");
        }
        let fresh = measure(&runtime, &module, Reuse::Fresh, 1).await?;
        println!("  a new instance for each call: {fresh} calls/s");
    }
    Ok(())
}

/// Calls within [`SPAN`], one after another.
async fn measure(runtime: &Runtime, module: &Module, reuse: Reuse, messages: usize) -> Result<u64, Box<dyn std::error::Error>> {
    let mut settings = HandlerSettings::new("bench");
    settings.reuse = reuse;
    let handler = WasmHandler::new(runtime, module, settings)?;
    let call = call(messages);
    for _ in 0..100 {
        handler.handle(call.clone()).await?;
    }
    let (begun, mut calls) = (Instant::now(), 0);
    while begun.elapsed() < SPAN {
        handler.handle(call.clone()).await?;
        calls += 1;
    }
    Ok(calls)
}

fn call(messages: usize) -> Call {
    let mut batch = Batch::default();
    let payload = [b'x'; 100];
    for position in 1..=messages as u64 {
        let headers: &[(&str, &[u8])] = &[("content-type", b"text/plain"), ("source", b"bench")];
        let message = Message {
            id: "0000000001",
            topic: "orders",
            key: Some(b"customer-17"),
            payload: Some(&payload),
            headers: headers.iter().copied(),
            timestamp: 1_700_000_000_000,
            attempt: 1,
        };
        batch.push(&message, Receipt { position, token: &[] }, Facts::default());
    }
    let subscription = SubscriptionInfo {
        name: "bench/orders".into(),
        handler: "bench".into(),
        group: None,
        broker: "memory".into(),
        order: Order::None,
        max_attempts: 5,
    };
    Call { batch: Arc::new(batch), from: 0, to: messages, subscription: Arc::new(subscription), partition: None }
}
