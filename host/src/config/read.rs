//! From files and arguments to one tree: the file, its overlay laid over it, then each `--set`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use toml_edit::{Document, Key, TomlError};

use super::LoadError;
use super::discover::{Ask, ENV_VARIABLE, Lookup, overlay};
use super::mistake::{Mistake, Mistakes};
use super::node::{Entry, Node, Table, Value};
use super::path::KeyPath;
use super::source::{Place, Source};

/// Name of the source that a `--set` is.
const SET: &str = "--set";

/// The tree that `file` and `ask` make. What cannot be parsed is a mistake; the rest is read all the same.
pub(crate) fn tree(file: &Path, ask: &Ask, lookup: Lookup<'_>, mistakes: &mut Mistakes) -> Result<Node, LoadError> {
    let mut tree = parse(&read(file, &ask.folder)?, mistakes);
    if let Some(env) = ask.env.clone().or_else(|| lookup(ENV_VARIABLE)).filter(|env| !env.is_empty()) {
        let over = overlay(file, &env);
        if !over.is_file() {
            return Err(LoadError::NoOverlay { env, file: over.strip_prefix(&ask.folder).unwrap_or(&over).into() });
        }
        tree.lay(parse(&read(&over, &ask.folder)?, mistakes));
    }
    for argument in &ask.set {
        match set(argument) {
            Ok(over) => tree.lay(over),
            Err(mistake) => mistakes.push(*mistake),
        }
    }
    Ok(tree)
}

fn read(file: &Path, folder: &Path) -> Result<Arc<Source>, LoadError> {
    let text = fs::read_to_string(file).map_err(|error| LoadError::Unreadable { file: file.into(), error })?;
    let name = file.strip_prefix(folder).unwrap_or(file).display().to_string();
    Ok(Arc::new(Source { name, text }))
}

/// The tree of one file; an empty one when it is no TOML.
fn parse(source: &Arc<Source>, mistakes: &mut Mistakes) -> Node {
    match Document::parse(source.text.as_str()) {
        Ok(document) => Node::of_table(source, document.as_table(), 0..0),
        Err(error) => {
            mistakes.push(syntax(source, &error));
            Node::new(Value::Table(Table::new()), Place::new(source, 0..0))
        }
    }
}

fn syntax(source: &Arc<Source>, error: &TomlError) -> Mistake {
    let place = Place::new(source, error.span().unwrap_or(0..0));
    let message = error.message().lines().collect::<Vec<_>>().join("; ");
    let mistake = Mistake::new(&KeyPath::default(), &place, format!("this is not TOML: {message}"));
    if !message.contains("duplicate key") {
        return mistake;
    }
    let whole = whole_key(source, &place);
    let problem = format!("`{}` stands here twice", whole.text().trim_start_matches('['));
    let mistake = Mistake::new(&KeyPath::default(), &whole, problem).help("keep one of the two, or give one another name");
    match first_of(source, &whole) {
        Some(first) => mistake.also(&first, "first here"),
        None => mistake,
    }
}

/// The line of `place`, up to its end: `[brokers.default` for a place that is only `default`.
fn whole_key(source: &Arc<Source>, place: &Place) -> Place {
    let start = source.text[..place.span().start].rfind('\n').map_or(0, |at| at + 1);
    Place::new(source, start..place.span().end)
}

/// The line before that begins like `whole`: where a doubled table or key stood first.
fn first_of(source: &Arc<Source>, whole: &Place) -> Option<Place> {
    let (text, line, same) = (&source.text, whole.span().start, whole.text());
    let earlier = text[..line].match_indices(same).filter(|(at, _)| *at == 0 || text[..*at].ends_with('\n'));
    // A longer key begins with the same letters.
    let whole =
        earlier.filter(|(at, _)| !text[at + same.len()..].starts_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')));
    whole.last().map(|(at, _)| Place::new(source, at..at + same.len()))
}

/// The tree of `key.path=value`. A value that is written as TOML's lists, tables and quoted texts are is read so; any other is text that becomes
/// what its key wants.
fn set(argument: &str) -> Result<Node, Box<Mistake>> {
    let source = Arc::new(Source { name: SET.into(), text: argument.into() });
    let whole = Place::new(&source, 0..argument.len());
    let wrong = |problem: String| {
        Box::new(Mistake::new(&KeyPath::default(), &whole, problem).help("write it like --set handlers.billing.reuse=fresh"))
    };
    let (path, text) = argument.split_once('=').ok_or_else(|| wrong("--set needs a key and a value with `=` between".into()))?;
    let keys = Key::parse(path.trim()).map_err(|error| wrong(format!("{path:?} is no path of keys: {}", error.message().trim())))?;
    let place = Place::new(&source, path.len() + 1..argument.len());
    let value = if text.trim_start().starts_with(['[', '{', '"', '\'']) {
        // Parsed as a whole, so that places are those of the argument.
        let document = Document::parse(argument).map_err(|error| wrong(format!("the value is not TOML: {}", error.message().trim())))?;
        return Ok(Node::of_table(&source, document.as_table(), 0..argument.len()));
    } else {
        Node { from_variable: true, ..Node::new(Value::Text(text.into()), place) }
    };
    let key = Place::new(&source, 0..path.len());
    Ok(keys.iter().rev().fold(value, |node, name| {
        let table = Table::from([(name.get().to_owned(), Entry { key: key.clone(), node })]);
        Node::new(Value::Table(table), key.clone())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_become_trees() {
        let check = |argument: &str, expected: &str| assert_eq!(set(argument).expect("good").json().to_string(), expected);
        check("a.b.c=hello world", r#"{"a":{"b":{"c":"hello world"}}}"#);
        check("a.\"x.y\"=1", r#"{"a":{"x.y":"1"}}"#);
        check("a.b=[1, 2]", r#"{"a":{"b":[1,2]}}"#);
        check("url=redis://h:1?a=b", r#"{"url":"redis://h:1?a=b"}"#);
        assert!(set("a.b").is_err());
        assert!(set("=1").is_err());
        assert!(set("a=[1").is_err());
    }
}
