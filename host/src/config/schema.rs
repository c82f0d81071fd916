//! Reading a JSON schema: what a place of the tree may hold. Knows the part of the language that schemars writes, no more.

use serde_json::{Map, Value as Json};

use super::node::Value;

/// Keyword of ours: a duration or size that may not be zero.
pub(crate) const POSITIVE: &str = "x-positive";
/// Format of texts that are never shown and may come from a file.
pub(crate) const SECRET: &str = "secret";

/// Name of the form that is the whole file.
const ROOT: &str = "File";

/// One form that a value may have: a schema without references and alternatives at its top.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form<'a> {
    /// The name under which the schema stands in the definitions.
    pub(crate) name: Option<&'a str>,
    keywords: &'a Json,
}

/// All forms that `schema` allows, but for null, which TOML cannot write.
pub(crate) fn forms<'a>(root: &'a Json, schema: &'a Json) -> Vec<Form<'a>> {
    let mut found = Vec::new();
    let name = std::ptr::eq(root, schema).then_some(ROOT);
    collect(root, schema, name, &mut found);
    found
}

fn collect<'a>(root: &'a Json, schema: &'a Json, name: Option<&'a str>, found: &mut Vec<Form<'a>>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        if let Some(target) = target {
            collect(root, target, reference.rsplit('/').next(), found);
        }
    } else if let Some(alternatives) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
        alternatives.iter().for_each(|s| collect(root, s, name, found));
    } else if schema["type"] != "null" {
        found.push(Form { name, keywords: schema });
    }
}

impl<'a> Form<'a> {
    pub(crate) fn get(&self, keyword: &str) -> &'a Json {
        &self.keywords[keyword]
    }

    pub(crate) fn properties(&self) -> Option<&'a Map<String, Json>> {
        self.get("properties").as_object()
    }

    /// Whether it wants that JSON type; one without a type takes all.
    pub(crate) fn is(&self, kind: &str) -> bool {
        match self.get("type") {
            Json::String(only) => only == kind,
            Json::Array(several) => several.iter().any(|k| k == kind),
            _ => self.get("const").is_null() && self.get("enum").is_null() || kind == "string",
        }
    }

    /// Whether a value is of its type.
    pub(crate) fn takes(&self, value: &Value) -> bool {
        match value {
            Value::Text(_) => self.is("string"),
            Value::Integer(_) => self.is("integer") || self.is("number"),
            Value::Float(_) => self.is("number"),
            Value::Bool(_) => self.is("boolean"),
            Value::List(_) => self.is("array"),
            Value::Table(_) => self.is("object"),
            Value::Broken => true,
        }
    }

    /// The words that a text may be; empty when it may be any.
    pub(crate) fn words(&self) -> Vec<&'a str> {
        let several = self.get("enum").as_array().into_iter().flatten();
        several.chain(std::iter::once(self.get("const"))).filter_map(Json::as_str).collect()
    }

    /// Its JSON type. An optional key may also be null, which TOML cannot write.
    fn kind(&self) -> Option<&'a str> {
        match self.get("type") {
            Json::Array(several) => several.iter().filter_map(Json::as_str).find(|kind| *kind != "null"),
            only => only.as_str(),
        }
    }

    /// What it wants, for a person: each possibility by itself.
    pub(crate) fn wanted(&self) -> Vec<String> {
        let words = self.words();
        if !words.is_empty() {
            return words.iter().map(|word| format!("{word:?}")).collect();
        }
        let wanted: &[&str] = match (self.kind(), self.get("format").as_str()) {
            (_, Some("duration")) => &[r#"a duration like "30s""#],
            (_, Some("size")) => &[r#"a size like "64MiB""#],
            (Some("integer"), _) => &["a whole number"],
            (Some("number"), _) => &["a number"],
            (Some("boolean"), _) => &["true", "false"],
            (Some("array"), _) => &["a list"],
            (Some("object"), _) => &["a table"],
            _ => &["text"],
        };
        wanted.iter().map(|word| (*word).into()).collect()
    }
}

/// What any of the forms wants, for a person.
pub(crate) fn describe(forms: &[Form<'_>]) -> String {
    let mut wanted: Vec<String> = forms.iter().flat_map(Form::wanted).collect();
    wanted.dedup();
    either(&wanted)
}

/// `"a"`, `"b"` or `"c"`.
pub(crate) fn one_of(words: &[&str]) -> String {
    either(&words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>())
}

/// Possibilities in a row.
pub(crate) fn either(words: &[String]) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}
