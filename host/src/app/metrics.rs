//! The host's metrics as one text: the engine's own, what the runtime counts by itself, and what brokers were asked for.

mod text;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use longshore_core::Clock;
use longshore_engine::Metrics;
use longshore_runtime::{Snapshot, WAIT_BOUNDS};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::running::{Running, RunningHandler};
use crate::stores::Stores;
use text::Text;

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    Brokers,
    Stores,
}

/// One value of a gauge with its labels.
pub(super) struct Sample {
    name: &'static str,
    labels: String,
    value: f64,
}

impl Sample {
    pub(super) fn new(name: &'static str, labels: &[(&str, &str)], value: f64) -> Self {
        Sample { name, labels: text::labels(labels), value }
    }
}

/// Gauges that samples speak of, and what they mean. All are named from the start, with values or without.
const SAMPLED: [(&str, &str); 6] = [
    ("messaging_broker_health", "1 when the broker answered its last ping, else 0"),
    ("longshore_store_health", "1 when the store answered its last ping, else 0"),
    ("longshore_broker_connections", "Connections to a broker"),
    ("longshore_lag", "Messages of a subscription that were never finished"),
    ("longshore_topic_depth", "Messages kept by topic"),
    ("longshore_dead_letter_depth", "Dead letters kept by topic"),
];

/// Shared with the admin server.
#[derive(Clone)]
pub struct HostMetrics {
    engine: Metrics,
    registry: Arc<RwLock<Registry>>,
    running: Arc<OnceLock<Arc<Running>>>,
    stores: Arc<OnceLock<Stores>>,
    samples: Arc<Mutex<BTreeMap<Asked, Vec<Sample>>>>,
    loaded: Arc<AtomicUsize>,
    clock: Clock,
}

impl Default for HostMetrics {
    fn default() -> Self {
        let (engine, mut registry) = (Metrics::default(), Registry::default());
        engine.register(&mut registry);
        HostMetrics {
            engine,
            registry: Arc::new(RwLock::new(registry)),
            running: Arc::default(),
            stores: Arc::default(),
            samples: Arc::default(),
            loaded: Arc::default(),
            clock: Clock::system(),
        }
    }
}

impl HostMetrics {
    /// What subscriptions count in.
    pub fn engine(&self) -> Metrics {
        self.engine.clone()
    }

    /// From now on the gauges speak of this.
    pub fn watch(&self, running: Arc<Running>, stores: Stores) {
        // Only the first host of a process is watched; there is no second.
        drop(self.running.set(running));
        drop(self.stores.set(stores));
    }

    /// So many components were loaded and run.
    pub(super) fn loaded(&self, handlers: usize) {
        self.loaded.store(handlers, Ordering::Relaxed);
    }

    /// What brokers, or stores, answered last.
    pub(super) fn set_samples(&self, of: Asked, samples: Vec<Sample>) {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).insert(of, samples);
    }

    /// Everything, in the text format of Prometheus.
    pub fn render(&self) -> String {
        let mut text = Text::default();
        self.sampled(&mut text);
        if let Some(running) = self.running.get() {
            handlers(running, &mut text);
            oldest_open(running, self.clock.now(), &mut text);
        }
        dropped(self.stores.get(), &mut text);
        text.family("longshore_deploys", "counter", "Components that began to run");
        text.sample("longshore_deploys_total", r#"result="ok""#, self.loaded.load(Ordering::Relaxed) as f64);
        let mut counted = String::new();
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = encode(&mut counted, &registry) {
            tracing::error!("metrics cannot be written: {error}");
        }
        text.into_string() + &counted
    }

    fn sampled(&self, text: &mut Text) {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, help) in SAMPLED {
            text.family(name, "gauge", help);
            samples.values().flatten().filter(|s| s.name == name).for_each(|s| text.sample(name, &s.labels, s.value));
        }
    }
}

/// What the runtime counts by itself.
fn handlers<'a>(running: &'a Running, text: &mut Text) {
    text.family("longshore_handler_info", "gauge", "What each handler runs");
    for h in &running.handlers {
        let instances = h.instances.as_ref();
        let version = instances.and_then(|i| i.version.as_deref()).unwrap_or_default();
        let (component, digest) = (h.component.to_string(), instances.map_or("", |i| &i.digest));
        let labels = [("handler", h.name.as_str()), ("component", &component), ("version", version), ("digest", digest)];
        text.sample("longshore_handler_info", &text::labels(&labels), 1.0);
    }
    let of = |h: &'a RunningHandler| Some((h, h.instances.as_ref()?.pool.stats()));
    let all: Vec<(&RunningHandler, Snapshot)> = running.handlers.iter().filter_map(of).collect();
    text.family("longshore_instances", "gauge", "Instances alive");
    for (h, s) in &all {
        for (state, n) in [("idle", s.idle), ("busy", s.busy)] {
            text.sample("longshore_instances", &text::labels(&[("handler", &h.name), ("state", state)]), n as f64);
        }
    }
    text.family("longshore_traps", "counter", "Calls without an answer");
    for (h, s) in &all {
        for (kind, n) in [("trap", s.traps), ("timeout", s.timeouts), ("memory", s.memory)] {
            text.sample("longshore_traps_total", &text::labels(&[("handler", &h.name), ("kind", kind)]), n as f64);
        }
    }
    text.family("longshore_queue_wait_seconds", "histogram", "How long calls waited for an instance");
    all.iter().for_each(|(h, s)| queue_wait(&h.name, s, text));
}

fn queue_wait(handler: &str, s: &Snapshot, text: &mut Text) {
    let mut count = 0;
    let bounds = WAIT_BOUNDS.iter().map(|micros| (*micros as f64 / 1e6).to_string()).chain(["+Inf".to_owned()]);
    for (bound, n) in bounds.zip(&s.waits) {
        count += n;
        text.sample("longshore_queue_wait_seconds_bucket", &text::labels(&[("handler", handler), ("le", &bound)]), count as f64);
    }
    let labels = text::labels(&[("handler", handler)]);
    text.sample("longshore_queue_wait_seconds_sum", &labels, s.wait.as_secs_f64());
    text.sample("longshore_queue_wait_seconds_count", &labels, count as f64);
}

/// What caches had no room for.
fn dropped(stores: Option<&Stores>, text: &mut Text) {
    text.family("longshore_cache_dropped", "counter", "Values that caches of a store dropped for want of room");
    for (name, store) in stores.into_iter().flatten() {
        if let Some(caches) = &store.roles.cache {
            text.sample("longshore_cache_dropped_total", &text::labels(&[("store", name)]), caches.dropped() as f64);
        }
    }
}

/// How long the oldest message that is held has been held.
fn oldest_open(running: &Running, now: u64, text: &mut Text) {
    text.family("longshore_oldest_open_seconds", "gauge", "How long the oldest message that is held has been held");
    for s in running.subscriptions() {
        let age = s.status.oldest_open_since().map_or(0, |since| now.saturating_sub(since));
        text.sample("longshore_oldest_open_seconds", &text::labels(&[("subscription", &s.name)]), age as f64 / 1e3);
    }
}
