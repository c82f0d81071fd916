//! From `[brokers.*]` to trusted values.

use std::collections::BTreeMap;

use longshore_core::Registration;
use serde_json::{Value as Json, json};

use longshore_engine::Reconnect;

use super::assemble::{Assembly, DEFAULT_BROKER};
use super::elements::{self, keys};
use super::mistake::Mistake;
use super::node::Node;
use super::path::KeyPath;
use super::trusted::BrokerConfig;

/// Adapter of the broker that is there when none is configured.
const DEFAULT_ADAPTER: &str = "embedded";

/// The brokers, by name: those of the file, or an embedded one when it has none.
pub(crate) fn brokers(assembly: &mut Assembly<'_>, adapters: &[Registration]) -> BTreeMap<String, BrokerConfig> {
    let Some(table) = assembly.tree.get("brokers").and_then(Node::table).filter(|table| !table.is_empty()) else {
        return implied(assembly, adapters).into_iter().collect();
    };
    let mut brokers = BTreeMap::new();
    for (name, entry) in table {
        let path = KeyPath::of(["brokers", name]);
        assembly.name(name, &entry.node, &path);
        let kind = entry.node.get("type").and_then(Node::text);
        let registration = adapters.iter().find(|adapter| Some(adapter.name) == kind);
        if let Some(broker) = registration.and_then(|registration| broker(assembly, name, &entry.node, &path, *registration)) {
            brokers.insert(name.clone(), broker);
        }
    }
    brokers
}

fn implied(assembly: &mut Assembly<'_>, adapters: &[Registration]) -> Option<(String, BrokerConfig)> {
    let Some(adapter) = adapters.iter().find(|adapter| adapter.name == DEFAULT_ADAPTER) else {
        let problem = "there is no broker, and this build has no embedded one to take instead";
        let types: Vec<&str> = adapters.iter().map(|adapter| adapter.name).collect();
        let mistake = Mistake::new(&KeyPath::of(["brokers"]), &assembly.tree.place, problem);
        assembly.tell(mistake.help(format!("add [brokers.{DEFAULT_BROKER}] with a type of {}", types.join(", "))));
        return None;
    };
    let raw = elements::Broker::default();
    Some((DEFAULT_BROKER.into(), trusted(DEFAULT_BROKER, *adapter, &raw, json!({}), json!({ "type": DEFAULT_ADAPTER }))))
}

fn broker(assembly: &mut Assembly<'_>, name: &str, node: &Node, path: &KeyPath, registration: Registration) -> Option<BrokerConfig> {
    let every = keys::<elements::Broker>();
    let schema = (registration.schema)().to_value();
    let adapters = |key: &str| schema["properties"].get(key).is_some();
    let settings = node.part(|key| key != "type" && (adapters(key) || !every.contains(key))).json();
    // A key that both have is for both.
    let common = node.part(|key| every.contains(key)).json();
    let raw: elements::Broker = assembly.read(common, node, path)?;
    waits(assembly, node, path, &raw);
    counted(assembly, node, path, &registration);
    Some(trusted(name, registration, &raw, settings, node.shown_json()))
}

/// The first wait must not be above the cap of waits.
fn waits(assembly: &mut Assembly<'_>, node: &Node, path: &KeyPath, raw: &elements::Broker) {
    let pairs = [
        ("reconnect", raw.reconnect.initial_delay, raw.reconnect.max_delay),
        ("publish-retry", raw.publish_retry.initial_delay, raw.publish_retry.max_delay),
    ];
    for (key, initial, cap) in pairs.into_iter().filter(|(_, initial, cap)| initial > cap) {
        let place = &node.get(key).unwrap_or(node).place;
        let problem = format!("initial-delay is {initial}, above max-delay, which is {cap}");
        assembly.tell(Mistake::new(&path.key(key), place, problem).help("raise max-delay, or lower initial-delay"));
    }
}

/// What nobody counts has no bound.
fn counted(assembly: &mut Assembly<'_>, node: &Node, path: &KeyPath, registration: &Registration) {
    let key = "max-attempts";
    if let Some(said) = node.get("reconnect").and_then(|node| node.get(key)).filter(|_| registration.connects_again) {
        let problem = format!("the client of {} connects again by itself, and does not count how often", registration.name);
        assembly.tell(Mistake::new(&path.key("reconnect").key(key), &said.place, problem).help("take it out"));
    }
}

fn trusted(name: &str, registration: Registration, raw: &elements::Broker, settings: Json, shown: Json) -> BrokerConfig {
    BrokerConfig {
        name: name.into(),
        registration: registration.configured(&settings),
        settings,
        shown,
        publish_timeout: raw.publish_timeout.get(),
        publish_retry: raw.publish_retry.policy(),
        reconnect: Reconnect {
            initial: raw.reconnect.initial_delay.get(),
            max: raw.reconnect.max_delay.get(),
            attempts: raw.reconnect.max_attempts,
        },
        ping_timeout: raw.ping_timeout.get(),
        max_message_size: raw.max_message_size.length(),
    }
}
