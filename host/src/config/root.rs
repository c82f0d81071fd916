//! The JSON schema of the whole file, put together from the elements and from what the adapters say about their own keys.

use longshore_core::Registration;
use serde_json::{Map, Value as Json, json};

use super::assemble::TOPIC;
use super::elements::{Broker, File, Instance, Policy};
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
        let name = definition_name(adapter.name);
        let broker = broker(adapter, &mut definitions);
        definitions.insert(name.clone(), broker);
        kinds.push(json!({ "$ref": format!("#/$defs/{name}") }));
    }
    for (name, table) in [("Subscription", SUBSCRIPTION), ("Topic", TOPIC)] {
        let mut element = definitions[name].clone();
        table.extend(adapters, &mut element, &mut definitions);
        definitions.insert(name.into(), element);
    }
    root["properties"]["brokers"]["additionalProperties"] = json!({ "oneOf": kinds });
    root["$defs"] = Json::Object(definitions);
    root
}

/// Under which name the keys of a kind of broker stand in the definitions.
pub(crate) fn definition_name(adapter: &str) -> String {
    format!("brokers.{adapter}")
}

/// The keys of one kind of broker: `type`, the adapter's own, and what every broker has. Of a key that both have, the adapter tells what it means.
fn broker(adapter: &Registration, definitions: &mut Map<String, Json>) -> Json {
    let mut every = schemars::schema_for!(Broker).to_value();
    definitions.extend(take_definitions(&mut every));
    let mut own = (adapter.schema)().to_value();
    refer_into(&mut own, &format!("#/$defs/{}/$defs/", definition_name(adapter.name)));
    let mut properties = Map::new();
    let kind = json!({ "type": "string", "const": adapter.name, "description": "What kind of broker it is." });
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
