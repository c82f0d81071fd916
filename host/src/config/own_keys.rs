//! Keys of subscriptions and topics that only one kind of broker knows. The schema allows those of every kind; here each is held against the
//! broker that the entry names.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::{OwnKeys, Registration, Table};
use schemars::JsonSchema;
use serde_json::{Map, Value as Json};

use super::assemble::Assembly;
use super::elements::keys;
use super::mistake::Mistake;
use super::node::Node;
use super::path::KeyPath;

/// A table that adapters add keys to.
#[derive(Clone, Copy)]
pub(crate) struct Extended {
    /// Keys that all brokers know.
    common: fn() -> BTreeSet<String>,
    /// Those of one adapter.
    of: fn(&Registration) -> Table,
}

impl Extended {
    /// The table of a common element.
    pub(crate) const fn new<T: JsonSchema>(of: fn(&Registration) -> Table) -> Self {
        Extended { common: keys::<T>, of }
    }

    /// An element's part that all brokers know.
    pub(crate) fn common(self, node: &Node) -> Node {
        let common = (self.common)();
        node.part(|key| common.contains(key))
    }

    /// The other part, for the broker of that name. What is not that broker's is told.
    pub(crate) fn own(self, assembly: &mut Assembly<'_>, node: &Node, broker: &str, path: &KeyPath) -> OwnKeys {
        let common = (self.common)();
        let own = node.part(|key| !common.contains(key));
        let Some(registration) = assembly.kinds.get(broker).copied() else { return OwnKeys::default() };
        let known = properties((self.of)(&registration));
        let strange: Vec<_> = own.table().into_iter().flatten().filter(|(key, _)| !known.contains_key(*key)).collect();
        for (key, entry) in &strange {
            let problem = format!("the broker {broker:?} ({}) has no key `{key}`", registration.name);
            assembly.tell(Mistake::new(&path.key(key), &entry.key, problem).help("take it out, or name the broker that is meant"));
        }
        let keys = match own.json() {
            Json::Object(keys) if strange.is_empty() => OwnKeys::new(keys),
            _ => return OwnKeys::default(),
        };
        match ((self.of)(&registration).check)(&keys) {
            Ok(()) => keys,
            Err(error) => {
                assembly
                    .tell(Mistake::new(path, &node.place, error.to_string()).help("the configuration reference lists what they may be"));
                OwnKeys::default()
            }
        }
    }

    /// What one adapter's keys are where nothing is said, and what is said.
    pub(crate) fn effective(self, registration: &Registration, node: &Node) -> Json {
        let defaults =
            properties((self.of)(registration)).into_iter().filter_map(|(key, schema)| Some((key, schema.get("default")?.clone())));
        let mut all: Map<String, Json> = defaults.collect();
        let common = (self.common)();
        if let Json::Object(said) = node.part(|key| !common.contains(key)).json() {
            all.extend(said);
        }
        Json::Object(all)
    }

    /// Adds the keys of all adapters to the element's schema. One that several know may be what any of them wants.
    pub(crate) fn extend(self, adapters: &[Registration], element: &mut Json, definitions: &mut Map<String, Json>) {
        let mut found: BTreeMap<String, Vec<(&str, Json)>> = BTreeMap::new();
        for adapter in adapters {
            let mut schema = ((self.of)(adapter).schema)().to_value();
            if let Some(Json::Object(own)) = schema.as_object_mut().and_then(|object| object.remove("$defs")) {
                definitions.extend(own);
            }
            for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
                found.entry(key.clone()).or_default().push((adapter.name, schema.clone()));
            }
        }
        for (key, kinds) in found {
            element["properties"][key] = either(kinds);
        }
    }
}

/// One schema of the same key in several adapters, saying whose it is.
fn either(mut kinds: Vec<(&str, Json)>) -> Json {
    for (name, schema) in &mut kinds {
        let meaning = schema["description"].as_str().unwrap_or_default();
        schema["description"] = format!("({name}) {meaning}").into();
    }
    let description: Vec<&str> = kinds.iter().filter_map(|(_, schema)| schema["description"].as_str()).collect();
    let description = description.join(" ");
    let without = |schema: &Json| {
        schema.as_object().map(|o| o.iter().filter(|(k, _)| *k != "description").map(|(k, v)| (k.clone(), v.clone())).collect())
    };
    let mut forms: Vec<Map<String, Json>> = kinds.iter().filter_map(|(_, schema)| without(schema)).collect();
    forms.dedup();
    let mut whole = match <[Map<String, Json>; 1]>::try_from(forms) {
        Ok([one]) => one,
        Err(several) => Map::from_iter([("anyOf".to_owned(), several.into())]),
    };
    whole.insert("description".into(), description.into());
    Json::Object(whole)
}

fn properties(table: Table) -> Map<String, Json> {
    (table.schema)().get("properties").and_then(Json::as_object).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::elements::{Subscription, Topic};
    use super::*;

    #[test]
    fn no_two_adapters_define_different_things_by_one_name() {
        let mut known: Map<String, Json> = Map::new();
        for table in crate::ADAPTERS.iter().flat_map(|adapter| [adapter.subscription, adapter.topic]) {
            let schema = (table.schema)().to_value();
            for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
                let first = known.entry(name).or_insert_with(|| definition.clone());
                assert_eq!(first, definition, "{name}: they share the definitions of the file");
            }
        }
    }

    #[test]
    fn no_adapter_has_a_key_that_all_have() {
        for adapter in crate::ADAPTERS {
            for (table, common) in [(adapter.subscription, keys::<Subscription>()), (adapter.topic, keys::<Topic>())] {
                let taken: Vec<String> = properties(table).into_iter().map(|(key, _)| key).filter(|key| common.contains(key)).collect();
                assert!(taken.is_empty(), "{}: {taken:?}", adapter.name);
            }
        }
    }
}
