//! The reference page and the JSON schema as texts, made from the doc comments of the elements.

use std::fmt::Write;

use longshore_core::Registration;
use serde_json::{Map, Value as Json};

use super::root::{definition_name, schema, store_definition};
use super::schema::{Form, either, forms};

/// The JSON schema as a file, for editors.
pub fn schema_text(adapters: &[Registration]) -> String {
    format!("{:#}\n", schema(adapters))
}

/// The reference page: a table for each element.
pub fn markdown(adapters: &[Registration]) -> String {
    let root = schema(adapters);
    let mut page = Page { root: &root, text: String::new() };
    page.text.push_str(HEAD);
    page.element("longshore.toml", &root);
    for adapter in adapters {
        let name = definition_name(adapter.name);
        let (title, element) = (format!("[brokers.*] with type = {:?}", adapter.name), &root["$defs"][&name]);
        page.element(&title, element);
        page.own_elements(&title, element);
    }
    for adapter in crate::STORES {
        let (title, element) = (format!("[stores.*] with type = {:?}", adapter.name), &root["$defs"][&store_definition(adapter.name)]);
        page.element(&title, element);
        page.own_elements(&title, element);
    }
    for (title, name) in TABLES {
        page.element(title, &root["$defs"][name]);
    }
    page.rest();
    page.text
}

const HEAD: &str = "# Configuration\n\nEvery key of `longshore.toml`, made from the source: do not edit. Durations (`\"200ms\"`, `\"30s\"`, `\"24h\"`) and sizes \
    (`\"64MiB\"`, `\"10MB\"`)\nare text with a unit. `${VAR}` and `${VAR:-default}` stand for variables of the environment, in any value; `$${` is a plain `${`.\n";

/// Elements that have a table of their own in the file, in the order in which one writes them.
const TABLES: [(&str, &str); 9] = [
    ("[handlers.*]", "Handler"),
    ("[jobs.*]", "Job"),
    ("An entry of subscribe", "Subscription"),
    ("An entry of publish, as a table", "Grant"),
    ("An entry of stores.cache or stores.key-value, as a table", "BucketGrant"),
    ("An entry of stores.locks, as a table", "LockGrant"),
    ("[topics.*]", "Topic"),
    ("[defaults]", "Defaults"),
    ("[admin]", "Admin"),
];

struct Page<'a> {
    root: &'a Json,
    text: String,
}

impl Page<'_> {
    /// Elements inside others, by name.
    fn rest(&mut self) {
        let tables = TABLES.map(|(_, name)| name);
        for (name, element) in self.root["$defs"].as_object().into_iter().flatten() {
            if !tables.contains(&name.as_str())
                && !name.starts_with("brokers.")
                && !name.starts_with("stores.")
                && element["properties"].is_object()
            {
                self.element(&title(name), element);
            }
        }
    }

    /// A heading, the meaning and the table of keys of one element.
    fn element(&mut self, title: &str, element: &Json) {
        let Some(properties) = element["properties"].as_object() else { return };
        let required: Vec<&str> = element["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let _ = write!(self.text, "\n## {}\n\n{}\n\n", code_title(title), description(element));
        if properties.is_empty() {
            self.text.push_str("It has no keys.\n");
            return;
        }
        self.text.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
        for (key, property) in properties {
            let default = if required.contains(&key.as_str()) { "required".into() } else { default(property) };
            let kind = kind(self.root, property);
            let _ = writeln!(self.text, "| `{key}` | {kind} | {default} | {} |", description(property));
        }
    }

    /// Elements that an adapter defines for itself.
    fn own_elements(&mut self, title: &str, element: &Json) {
        let definitions: Map<String, Json> = element["$defs"].as_object().cloned().unwrap_or_default();
        for (name, definition) in definitions.iter().filter(|(_, definition)| definition["properties"].is_object()) {
            let own = self::title(name).to_lowercase();
            self.element(&format!("{title}: {own}"), definition);
        }
    }
}

/// `DeadLetter` as `Dead letter`.
fn title(name: &str) -> String {
    let mut words = String::new();
    for (i, c) in name.chars().enumerate() {
        match c {
            c if i > 0 && c.is_uppercase() => words.extend([' '].into_iter().chain(c.to_lowercase())),
            c => words.push(c),
        }
    }
    words
}

/// Titles that are written in a file are set as code.
fn code_title(title: &str) -> String {
    if title.starts_with('[') || title.contains(".toml") { format!("`{title}`") } else { title.into() }
}

fn description(schema: &Json) -> String {
    schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The default as TOML writes it, where it is short; that of a table is told in its own table.
fn default(property: &Json) -> String {
    match &property["default"] {
        Json::Null | Json::Object(_) => String::new(),
        Json::Array(list) if list.is_empty() => "`[]`".into(),
        value => format!("`{value}`"),
    }
}

/// What may stand under a key: with the names of tables, and with what is in lists.
fn kind(root: &Json, schema: &Json) -> String {
    let one = |form: &Form<'_>| match form.name {
        Some(name) if form.is("object") => vec![format!("table ({})", title(name).to_lowercase())],
        _ if form.is("array") => vec![format!("list of {}", kind(root, form.get("items")))],
        _ => form.wanted().iter().map(|word| word.replace('"', "`")).collect(),
    };
    let mut kinds: Vec<String> = forms(root, schema).iter().flat_map(one).collect();
    kinds.dedup();
    either(&kinds)
}
