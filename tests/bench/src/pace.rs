//! Messages at a pace, and how late each of them is handled.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use longshore_core::{Call, Crash, Done, Handler};
use longshore_runtime::WasmHandler;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::sample::percentiles;

/// Messages that may be late at once in a paced run.
const LATE: usize = 10_000;

/// A payload that begins with when it was due, in nanoseconds since `start`.
pub(crate) fn stamped(start: Instant, due: Instant, bytes: usize) -> Vec<u8> {
    let mut payload = vec![b'x'; bytes];
    payload[..8].copy_from_slice(&(due.duration_since(start).as_nanos() as u64).to_le_bytes());
    payload
}

/// Calls `send` with the time when each message is due, when it is; falls behind rather than skipping one.
pub(crate) fn pace(count: u64, a_second: u64, mut send: impl FnMut(Instant) -> Result<()>) -> Result<()> {
    let start = Instant::now();
    for i in 0..count {
        let due = start + Duration::from_nanos(1_000_000_000 / a_second * i);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        send(due)?;
    }
    Ok(())
}

/// Publishes at a pace, each message by itself, as many at once as have to be.
pub(crate) async fn publish<F>(count: u64, a_second: u64, publish: impl Fn(Instant) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (sender, mut due) = mpsc::channel(LATE);
    let pacer = std::thread::spawn(move || pace(count, a_second, |due| Ok(sender.blocking_send(due)?)));
    let mut publishing = JoinSet::new();
    while let Some(due) = due.recv().await {
        publishing.spawn(publish(due));
    }
    pacer.join().expect("pacing does not panic")?;
    publishing.join_all().await.into_iter().collect()
}

/// How late messages were.
#[derive(Clone)]
pub(crate) struct Lateness {
    pub(crate) start: Instant,
    seen: Arc<Mutex<Vec<Duration>>>,
}

impl Lateness {
    pub(crate) fn new() -> Self {
        Lateness { start: Instant::now(), seen: Arc::default() }
    }

    /// Notes payloads that have been handled now.
    pub(crate) fn saw<'a>(&self, payloads: impl Iterator<Item = &'a [u8]>) {
        let now = self.start.elapsed();
        let mut seen = self.seen.lock().expect("nothing panics while it holds it");
        for payload in payloads {
            let stamp = payload.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            seen.push(now.saturating_sub(Duration::from_nanos(stamp)));
        }
    }

    /// Milliseconds at p50, p99 and p99.9.
    pub(crate) fn percentiles(&self) -> Option<[f64; 3]> {
        percentiles(std::mem::take(&mut *self.seen.lock().expect("nothing panics while it holds it")))
    }
}

/// Notes how late each message is once it was handled.
pub(crate) struct Late {
    pub(crate) handler: WasmHandler,
    pub(crate) lateness: Lateness,
}

impl Handler for Late {
    async fn handle(&self, call: Call) -> Result<Done, Crash> {
        let done = self.handler.handle(call.clone()).await;
        self.lateness.saw((call.from..call.to).map(|i| call.batch.row(i).payload().unwrap_or_default()));
        done
    }
}
