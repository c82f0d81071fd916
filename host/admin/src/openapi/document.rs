//! Makes the description from routes.

use axum::http::Method;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::extract::ErrorBody;
use crate::route::{Route, SchemaOf};

/// OpenAPI 3.1 of all `routes`.
pub(super) fn document(routes: &[Route]) -> Value {
    let mut generator = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into()).into_generator();
    let mut paths = Map::new();
    for route in routes {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation(route, &mut generator);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Longshore", "description": "What a running host can be asked.", "version": env!("CARGO_PKG_VERSION") },
        "security": [{}, { "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "description": "`admin.token`, where one is set" } },
            "schemas": generator.take_definitions(true),
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({ "summary": route.summary });
    let parameters: Vec<Value> = path_parameters(route.path).chain(query_parameters(route.query, generator)).collect();
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = route.body {
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": body(generator) } } });
    }
    let mut responses = Map::new();
    match route.answer {
        Some(answer) => {
            let content = json!({ "application/json": { "schema": answer(generator) } });
            responses.insert("200".into(), json!({ "description": "Done", "content": content }));
        }
        None if route.method != Method::GET => drop(responses.insert("204".into(), json!({ "description": "Done" }))),
        None => drop(responses.insert("200".into(), json!({ "description": "Text" }))),
    }
    if route.path.starts_with("/api") {
        let content = json!({ "application/json": { "schema": generator.subschema_for::<ErrorBody>() } });
        responses.insert("default".into(), json!({ "description": "Not done, and why", "content": content }));
    }
    operation["responses"] = responses.into();
    operation
}

fn path_parameters(path: &str) -> impl Iterator<Item = Value> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
}

fn query_parameters(query: Option<SchemaOf>, generator: &mut SchemaGenerator) -> Vec<Value> {
    let Some(schema) = query.map(|query| query(generator)) else { return Vec::new() };
    let required: Vec<&str> = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties
        .map(|(name, schema)| json!({ "name": name, "in": "query", "required": required.contains(&name.as_str()), "schema": schema }))
        .collect()
}
