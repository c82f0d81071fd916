//! The JSON schema of the whole file, put together from the elements and from what the adapters say about their own keys.

use longshore_core::Registration;
use schemars::JsonSchema;
use serde_json::{Map, Value as Json, json};

use super::assemble::TOPIC;
use super::elements::{Broker, File, Instance, Policy, Store};
use super::subscriptions::SUBSCRIPTION;

/// The schema of the file for a host with these adapters. The keys of a broker depend on its `type`.
pub fn schema(adapters: &[Registration]) -> Json {
    let mut root = schemars::schema_for!(File).to_value();
    let mut definitions = take_definitions(&mut root);
    // Transforms add their keys to other elements, not what these refer to.
    for mut common in [schemars::schema_for!(Policy).to_value(), schemars::schema_for!(Instance).to_value()] {
        definitions.extend(take_definitions(&mut common));
    }
    let mut kinds = Vec::new();
    for adapter in adapters {
        let kind =
            Kind { definition: definition_name(adapter.name), name: adapter.name, what: "broker", own: (adapter.schema)().to_value() };
        kinds.push(kind.define::<Broker>(&mut definitions));
    }
    let mut stores = Vec::new();
    for adapter in crate::STORES {
        let kind =
            Kind { definition: store_definition(adapter.name), name: adapter.name, what: "store", own: (adapter.schema)().to_value() };
        stores.push(kind.define::<Store>(&mut definitions));
    }
    for (name, table) in [("Subscription", SUBSCRIPTION), ("Topic", TOPIC)] {
        let mut element = definitions[name].clone();
        table.extend(adapters, &mut element, &mut definitions);
        definitions.insert(name.into(), element);
    }
    root["properties"]["brokers"]["additionalProperties"] = json!({ "oneOf": kinds });
    root["properties"]["stores"]["additionalProperties"] = json!({ "oneOf": stores });
    root["$defs"] = Json::Object(definitions);
    root
}

/// Under which name the keys of a kind of broker stand in the definitions.
pub(crate) fn definition_name(adapter: &str) -> String {
    format!("brokers.{adapter}")
}

/// The same for a kind of store.
pub(crate) fn store_definition(adapter: &str) -> String {
    format!("stores.{adapter}")
}

/// One kind of broker or store.
struct Kind {
    /// Under which its keys stand in the definitions.
    definition: String,
    /// Value of `type`.
    name: &'static str,
    /// What it is a kind of.
    what: &'static str,
    /// The schema of its own keys.
    own: Json,
}

impl Kind {
    /// Puts its keys into the definitions, beside those that `Every` one has, and refers to them.
    fn define<Every: JsonSchema>(self, definitions: &mut Map<String, Json>) -> Json {
        let mut every = schemars::schema_for!(Every).to_value();
        definitions.extend(take_definitions(&mut every));
        let reference = json!({ "$ref": format!("#/$defs/{}", self.definition) });
        let definition = self.definition.clone();
        definitions.insert(definition, self.keys(&every));
        reference
    }

    /// `type`, the adapter's own keys, and what every one has. Of a key that both have, the adapter tells what it means.
    fn keys(self, every: &Json) -> Json {
        let Kind { definition, name, what, mut own } = self;
        refer_into(&mut own, &format!("#/$defs/{definition}/$defs/"));
        let mut properties = Map::new();
        let kind = json!({ "type": "string", "const": name, "description": format!("What kind of {what} it is.") });
        properties.insert("type".into(), kind);
        properties.extend(own["properties"].as_object().cloned().unwrap_or_default());
        for (key, schema) in every["properties"].as_object().cloned().unwrap_or_default() {
            properties.entry(key).or_insert(schema);
        }
        let mut required = own["required"].as_array().cloned().unwrap_or_default();
        required.insert(0, "type".into());
        own["type"] = "object".into();
        own["properties"] = Json::Object(properties);
        own["required"] = Json::Array(required);
        if own["additionalProperties"].is_null() {
            own["additionalProperties"] = Json::Bool(false);
        }
        if let Some(object) = own.as_object_mut() {
            object.remove("$schema");
            object.remove("title");
        }
        own
    }
}

fn take_definitions(schema: &mut Json) -> Map<String, Json> {
    match schema.as_object_mut().and_then(|object| object.remove("$defs")) {
        Some(Json::Object(definitions)) => definitions,
        _ => Map::new(),
    }
}

/// Makes references to a schema's own definitions good for where the schema is put.
fn refer_into(schema: &mut Json, place: &str) {
    match schema {
        Json::Object(object) => {
            if let Some(Json::String(reference)) = object.get_mut("$ref")
                && let Some(name) = reference.strip_prefix("#/$defs/")
            {
                *reference = format!("{place}{name}");
            }
            object.values_mut().for_each(|value| refer_into(value, place));
        }
        Json::Array(list) => list.iter_mut().for_each(|value| refer_into(value, place)),
        _ => {}
    }
}
