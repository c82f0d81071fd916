//! The host's metrics as one text: the engine's own, and gauges that are read from what runs when somebody asks.

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use longshore_engine::Metrics;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::running::Running;

/// Shared with the admin server.
#[derive(Clone)]
pub struct HostMetrics {
    engine: Metrics,
    registry: Arc<RwLock<Registry>>,
    running: Arc<OnceLock<Arc<Running>>>,
}

impl Default for HostMetrics {
    fn default() -> Self {
        let (engine, mut registry) = (Metrics::default(), Registry::default());
        engine.register(&mut registry);
        HostMetrics { engine, registry: Arc::new(RwLock::new(registry)), running: Arc::default() }
    }
}

impl HostMetrics {
    /// What subscriptions count in.
    pub fn engine(&self) -> Metrics {
        self.engine.clone()
    }

    /// From now on the gauges speak of this.
    pub fn watch(&self, running: Arc<Running>) {
        // Only the first host of a process is watched; there is no second.
        drop(self.running.set(running));
    }

    /// Everything, in the text format of Prometheus.
    pub fn render(&self) -> String {
        let mut text = String::new();
        if let Some(running) = self.running.get() {
            render_handlers(running, &mut text);
        }
        let mut counted = String::new();
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = encode(&mut counted, &registry) {
            tracing::error!("metrics cannot be written: {error}");
        }
        text + &counted
    }
}

/// Gauges and counters that the runtime keeps by itself.
fn render_handlers(running: &Running, text: &mut String) {
    let mut family = |name: &str, kind: &str, help: &str, lines: Vec<(String, f64)>| {
        let sample = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        let written = writeln!(text, "# HELP {name} {help}.\n# TYPE {name} {kind}");
        let lines = lines.iter().try_for_each(|(labels, value)| writeln!(text, "{sample}{{{labels}}} {value}"));
        written.and(lines).expect("a string takes everything");
    };
    let each = |of: &dyn Fn(&super::running::RunningHandler) -> Vec<(String, f64)>| running.handlers.iter().flat_map(of).collect();
    family(
        "longshore_handler_info",
        "gauge",
        "What each handler runs",
        each(&|h| {
            let version = h.version.as_deref().unwrap_or_default();
            let component = h.component.display().to_string();
            let labels = [("handler", h.name.as_str()), ("component", &component), ("version", version), ("digest", &h.digest)];
            vec![(labels.map(|(k, v)| format!("{k}=\"{}\"", escape(v))).join(","), 1.0)]
        }),
    );
    let of = |h: &super::running::RunningHandler, label: &str, value: &str| format!("handler=\"{}\",{label}=\"{value}\"", escape(&h.name));
    family(
        "longshore_instances",
        "gauge",
        "Instances alive",
        each(&|h| {
            let s = h.instances.stats();
            vec![(of(h, "state", "idle"), s.idle as f64), (of(h, "state", "busy"), s.busy as f64)]
        }),
    );
    family(
        "longshore_traps",
        "counter",
        "Calls without an answer",
        each(&|h| {
            let s = h.instances.stats();
            let kinds = [("trap", s.traps), ("timeout", s.timeouts), ("memory", s.memory)];
            kinds.iter().map(|(kind, n)| (of(h, "kind", kind), *n as f64)).collect()
        }),
    );
}

/// A label's value as the text format wants it.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
