//! Holds the tree against the schema: unknown keys, wrong types, words, units and ranges, all of them, each at its place. What is wrong is told
//! once and marked as broken, so that the rest can be read and checked further.

use std::path::Path;

use serde_json::Value as Json;

use super::mask::sounds_secret;
use super::mistake::{Mistake, Mistakes};
use super::node::{Node, Table, Value};
use super::path::KeyPath;
use super::schema::{Form, SECRET, describe, forms};
use super::unknown::{Unknown, absent, nearest};
use super::{coerce, range, secret};

/// Holds `tree` against `root`, the schema of the whole file. Secrets in files are read from `folder` on.
pub(crate) fn check(tree: &mut Node, root: &Json, folder: &Path, mistakes: &mut Mistakes) {
    Shape { root, folder, mistakes }.node(tree, root, &KeyPath::default());
}

struct Shape<'a> {
    root: &'a Json,
    folder: &'a Path,
    mistakes: &'a mut Mistakes,
}

impl Shape<'_> {
    fn node(&mut self, node: &mut Node, schema: &Json, path: &KeyPath) {
        let forms = forms(self.root, schema);
        self.secrets(node, &forms, path);
        if node.is_broken() {
            return;
        }
        if node.from_variable {
            coerce::coerce(node, &forms);
        }
        let fitting: Vec<Form<'_>> = forms.iter().copied().filter(|form| form.takes(&node.value)).collect();
        if fitting.is_empty() {
            let problem = format!("expected {}, found {}", describe(&forms), found(node));
            return self.broken(node, Mistake::new(path, &node.place, problem).help(type_help(&forms, node)));
        }
        match node.value {
            Value::Table(_) => self.one_table(node, &fitting, path),
            Value::List(_) => self.list(node, fitting[0], path),
            Value::Text(_) => self.text(node, &forms, &fitting, path),
            _ => self.bounds(node, fitting[0], path),
        }
    }

    /// Marks what is not for showing, and fetches it when it lies in a file.
    fn secrets(&mut self, node: &mut Node, forms: &[Form<'_>], path: &KeyPath) {
        if forms.iter().any(|form| form.get("format") == SECRET) && !node.is_broken() {
            node.secret = true;
            self.mistakes.secrets.push(node.place.clone());
            if let Err(mistake) = secret::fetch(node, self.folder, path) {
                self.broken(node, *mistake);
            }
        }
    }

    /// A table of which there may be several kinds, told apart by the words under a key of theirs, like `type`.
    fn one_table(&mut self, node: &mut Node, forms: &[Form<'_>], path: &KeyPath) {
        let Some(key) = forms.get(1).and_then(|_| discriminator(forms)) else {
            return self.table(node, forms[0], path);
        };
        let Some(choice) = node.get(key) else {
            let mistake = without_choice(node, forms, key, path);
            return self.broken(node, mistake);
        };
        let wanted = choice.text().unwrap_or_default();
        match forms.iter().find(|form| words_of(form, key).contains(&wanted)) {
            Some(form) => self.table(node, *form, path),
            None if choice.is_broken() => node.value = Value::Broken,
            None => {
                let words: Vec<&str> = forms.iter().flat_map(|form| words_of(form, key)).collect();
                let problem = format!("expected {}, found {}", describe_choices(forms, key), found(choice));
                self.mistakes.push(Mistake::new(&path.key(key), &choice.place, problem).help(absent(
                    forms[0].name.unwrap_or_default(),
                    wanted,
                    &words,
                )));
                node.value = Value::Broken;
            }
        }
    }

    fn table(&mut self, node: &mut Node, form: Form<'_>, path: &KeyPath) {
        let place = node.place.clone();
        let Value::Table(table) = &mut node.value else { return };
        let unknown = self.unknown_keys(table, form, path);
        for (key, entry) in table.iter_mut() {
            if sounds_secret(key) && entry.node.text().is_some() {
                entry.node.secret = true;
                self.mistakes.secrets.push(entry.node.place.clone());
            }
            let schema = form.properties().and_then(|p| p.get(key)).unwrap_or(form.get("additionalProperties"));
            if schema.is_object() {
                self.node(&mut entry.node, schema, &path.key(key));
            }
        }
        for key in form.get("required").as_array().into_iter().flatten().filter_map(Json::as_str) {
            // A misspelt key has been told already.
            if !table.contains_key(key) && !unknown.iter().any(|u| u.meant(key)) {
                let wanted = form.properties().map(|p| describe(&forms(self.root, &p[key]))).unwrap_or_default();
                self.mistakes.push(Mistake::new(path, &place, format!("`{key}` is missing")).help(format!("add {key} = …, {wanted}")));
            }
        }
    }

    /// Tells keys that the table cannot have and takes them out.
    fn unknown_keys(&mut self, table: &mut Table, form: Form<'_>, path: &KeyPath) -> Vec<Unknown> {
        if form.get("additionalProperties") != &Json::Bool(false) {
            return Vec::new();
        }
        let known: Vec<&str> = form.properties().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        let strange: Vec<String> = table.keys().filter(|key| !known.contains(&key.as_str())).cloned().collect();
        let tell = |key: String| {
            let entry = table.remove(&key).expect("it was just found there");
            let unknown = Unknown::new(form.name.unwrap_or_default(), &key, &known);
            // A misspelt secret is a secret.
            if unknown.meant_key().is_some_and(sounds_secret) {
                self.mistakes.secrets.push(entry.node.place.clone());
            }
            self.mistakes.push(Mistake::new(&path.key(&key), &entry.key, unknown.problem()).help(unknown.help()));
            unknown
        };
        strange.into_iter().map(tell).collect()
    }

    fn list(&mut self, node: &mut Node, form: Form<'_>, path: &KeyPath) {
        let place = node.place.clone();
        let Value::List(list) = &mut node.value else { return };
        let least = form.get("minItems").as_u64().unwrap_or(0);
        if (list.len() as u64) < least {
            self.mistakes.push(Mistake::new(path, &place, "the list is empty").help("it needs at least one entry"));
            return node.value = Value::Broken;
        }
        for (i, item) in list.iter_mut().enumerate() {
            self.node(item, form.get("items"), &path.index(i));
        }
    }

    /// A text that is one of some words, or any text.
    fn text(&mut self, node: &mut Node, forms: &[Form<'_>], fitting: &[Form<'_>], path: &KeyPath) {
        let text = node.text().unwrap_or_default();
        let words: Vec<&str> = fitting.iter().flat_map(Form::words).collect();
        let free = fitting.iter().find(|form| form.words().is_empty());
        match free {
            _ if words.contains(&text) => {}
            Some(form) => self.bounds(node, *form, path),
            None => {
                let problem = format!("expected {}, found {}", describe(forms), found(node));
                let mistake = Mistake::new(path, &node.place, problem);
                let near = nearest(text, &words).map(|near| format!("did you mean {near:?}?"));
                self.broken(node, Mistake { help: near, ..mistake });
            }
        }
    }

    fn bounds(&mut self, node: &mut Node, form: Form<'_>, path: &KeyPath) {
        if let Err(wrong) = range::check(&node.value, form) {
            let mistake = Mistake::new(path, &node.place, wrong.problem);
            self.broken(node, Mistake { help: wrong.help, ..mistake });
        }
    }

    fn broken(&mut self, node: &mut Node, mistake: Mistake) {
        self.mistakes.push(mistake);
        node.value = Value::Broken;
    }
}

/// The key whose words tell the forms apart.
fn discriminator<'a>(forms: &[Form<'a>]) -> Option<&'a str> {
    let (key, _) = forms[0].properties()?.iter().find(|(_, schema)| schema["const"].is_string())?;
    Some(key)
}

/// A table that does not say which one it is; perhaps it does by a wrong key.
fn without_choice(node: &Node, forms: &[Form<'_>], key: &str, path: &KeyPath) -> Mistake {
    let element = forms[0].name.unwrap_or_default();
    let strange = node.table().into_iter().flatten().map(|(name, entry)| (Unknown::new(element, name, &[key]), name, &entry.key));
    let choices = describe_choices(forms, key);
    match strange.into_iter().find(|(unknown, ..)| unknown.meant(key)) {
        Some((unknown, name, place)) => Mistake::new(&path.key(name), place, unknown.problem()).help(unknown.help()),
        None => Mistake::new(path, &node.place, format!("`{key}` is missing: {choices}")).help(format!("add a line {key} = \"…\"")),
    }
}

fn words_of<'a>(form: &Form<'a>, key: &str) -> Vec<&'a str> {
    form.properties().and_then(|p| p.get(key)?["const"].as_str()).into_iter().collect()
}

fn describe_choices(forms: &[Form<'_>], key: &str) -> String {
    let words: Vec<&str> = forms.iter().flat_map(|form| words_of(form, key)).collect();
    super::schema::one_of(&words)
}

/// What stands there, for a person.
fn found(node: &Node) -> String {
    match &node.value {
        _ if node.secret => "something else".into(),
        Value::Text(text) if node.place.text().contains("${") => {
            format!("the text {:?} (from {})", super::mask::shown(text), node.place.text().trim_matches('"'))
        }
        Value::Text(text) => format!("the text {:?}", super::mask::shown(text)),
        Value::Integer(number) => format!("the number {number}"),
        Value::Float(number) => format!("the number {number}"),
        Value::Bool(truth) => truth.to_string(),
        Value::List(_) => "a list".into(),
        Value::Table(_) => "a table".into(),
        Value::Broken => "nothing".into(),
    }
}

/// What to write instead, where it can be guessed from what was meant.
fn type_help(forms: &[Form<'_>], node: &Node) -> String {
    let wants = |format: &str| forms.iter().any(|form| form.get("format") == format);
    match &node.value {
        Value::Integer(n) if wants("duration") => format!("a duration needs a unit: \"{n}s\" or \"{n}ms\""),
        Value::Integer(n) if wants("size") => format!("a size needs a unit: \"{n}B\", \"{n}KiB\" or \"{n}MiB\""),
        Value::Text(_) if forms.iter().any(|form| form.is("array")) => format!("put it in brackets: [{}]", node.place.text()),
        Value::Text(text) if text.parse::<f64>().is_ok() => format!("write it without quotes: {text}"),
        Value::Text(text) if matches!(text.as_str(), "true" | "false") => format!("write it without quotes: {text}"),
        Value::Integer(_) | Value::Float(_) | Value::Bool(_) if forms.iter().any(|form| form.is("string")) => {
            format!("write it in quotes: \"{}\"", node.place.text())
        }
        _ => format!("write {} here", describe(forms)),
    }
}
