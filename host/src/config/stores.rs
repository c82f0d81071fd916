//! From `[stores.*]` and the buckets and locks that are granted to trusted values.

use std::collections::BTreeMap;

use longshore_core::{KeyPattern, Size, Span, StoreRegistration};
use serde_json::{Value as Json, json};

use super::assemble::Assembly;
use super::elements::{self, BucketEntry, LockEntry, keys};
use super::mistake::Mistake;
use super::node::Node;
use super::path::KeyPath;
use super::trusted::{BucketConfig, LockConfig, StoreConfig, StoresConfig};

/// Store of who names none.
pub(crate) const DEFAULT_STORE: &str = "default";
/// Adapter of the store that is there when none is configured.
const DEFAULT_ADAPTER: &str = "embedded";

/// The stores of the file, by name.
pub(crate) fn stores(assembly: &mut Assembly<'_>) -> BTreeMap<String, StoreConfig> {
    let mut stores = BTreeMap::new();
    for (name, entry) in assembly.tree.get("stores").and_then(Node::table).into_iter().flatten() {
        let path = KeyPath::of(["stores", name]);
        assembly.name(name, &entry.node, &path);
        let kind = entry.node.get("type").and_then(Node::text);
        let registration = crate::STORES.iter().find(|adapter| Some(adapter.name) == kind);
        if let Some(store) = registration.and_then(|registration| store(assembly, name, &entry.node, &path, *registration)) {
            stores.insert(name.clone(), store);
        }
    }
    stores
}

/// The store that is there where the file has none: embedded, as the broker.
pub(crate) fn implied() -> Option<StoreConfig> {
    let adapter = crate::STORES.iter().find(|adapter| adapter.name == DEFAULT_ADAPTER)?;
    let raw = elements::Store::default();
    Some(trusted(DEFAULT_STORE, *adapter, &raw, json!({}), json!({ "type": DEFAULT_ADAPTER })))
}

fn store(assembly: &mut Assembly<'_>, name: &str, node: &Node, path: &KeyPath, registration: StoreRegistration) -> Option<StoreConfig> {
    let every = keys::<elements::Store>();
    let settings = node.part(|key| key != "type" && !every.contains(key)).json();
    let raw: elements::Store = assembly.read(node.part(|key| every.contains(key)).json(), node, path)?;
    if let Some(room) = (registration.room)(settings.clone()).map(Size::from_bytes).filter(|room| raw.max_value_size > *room) {
        let key = if node.get("max-value-size").is_some() { "max-value-size" } else { "max-size" };
        let place = &node.get(key).unwrap_or(node).place;
        let problem = format!("one value may have {} (max-value-size), and all of a cache only {room} (max-size)", raw.max_value_size);
        assembly.tell(Mistake::new(&path.key(key), place, problem).help("lower max-value-size, or raise max-size"));
    }
    Some(trusted(name, registration, &raw, settings, node.shown_json()))
}

fn trusted(name: &str, registration: StoreRegistration, raw: &elements::Store, settings: Json, shown: Json) -> StoreConfig {
    StoreConfig {
        name: name.into(),
        registration,
        settings,
        shown,
        timeout: raw.timeout.get(),
        max_key_size: raw.max_key_size.length(),
        max_value_size: raw.max_value_size.length(),
        max_lock_ttl: raw.max_lock_ttl.get(),
        default_ttl: raw.default_ttl.map(Span::get),
    }
}

/// The buckets and locks that a handler or job may use.
pub(crate) fn granted(assembly: &mut Assembly<'_>, node: &Node, path: &KeyPath) -> StoresConfig {
    let path = path.key("stores");
    let mut list = |key: &str| {
        let path = path.key(key);
        let entries = node.find(["stores", key]).map(Node::list).unwrap_or_default();
        let mut granted: Vec<BucketConfig> = Vec::with_capacity(entries.len());
        for (i, entry) in entries.iter().enumerate() {
            let Some(bucket) = bucket(assembly, entry, &path.index(i)) else { continue };
            if granted.iter().any(|before| before.alias == bucket.alias) {
                let problem = format!("{:?} is the name of a bucket in this list already", bucket.alias);
                let mistake = Mistake::new(&bucket.path, &entry.place, problem);
                assembly.tell(mistake.help("take one of the two out, or give it another name with `as`"));
            }
            granted.push(bucket);
        }
        granted
    };
    let (cache, key_value) = (list("cache"), list("key-value"));
    let entries = node.find(["stores", "locks"]).map(Node::list).unwrap_or_default();
    let path = path.key("locks");
    let locks = entries.iter().enumerate().filter_map(|(i, entry)| lock(assembly, entry, &path.index(i))).collect();
    StoresConfig { cache, key_value, locks }
}

fn lock(assembly: &mut Assembly<'_>, node: &Node, path: &KeyPath) -> Option<LockConfig> {
    if node.is_broken() {
        return None;
    }
    let grant = assembly.read::<LockEntry>(node.json(), node, path)?.grant();
    let store = grant.store.unwrap_or_else(|| DEFAULT_STORE.into());
    Some(LockConfig { names: KeyPattern::new(grant.name), store, path: path.clone() })
}

fn bucket(assembly: &mut Assembly<'_>, node: &Node, path: &KeyPath) -> Option<BucketConfig> {
    if node.is_broken() {
        return None;
    }
    let grant = assembly.read::<BucketEntry>(node.json(), node, path)?.grant();
    if let Some(why) = refused(&grant.bucket) {
        let place = &node.get("bucket").unwrap_or(node).place;
        assembly.tell(Mistake::new(path, place, why).help("use letters, digits, `-` and `_`, 64 of them at most"));
    }
    let store = grant.store.unwrap_or_else(|| DEFAULT_STORE.into());
    Some(BucketConfig { alias: grant.alias.unwrap_or_else(|| grant.bucket.clone()), bucket: grant.bucket, store, path: path.clone() })
}

/// Why no bucket can have that name: every store must be able to have it.
pub(crate) fn refused(name: &str) -> Option<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_good = !name.is_empty() && name.len() <= 64 && name.chars().all(good);
    (!is_good).then(|| format!("{name:?} cannot be the name of a bucket"))
}
