//! The file as a tree in which every value knows its place. Overlays are laid over it, `explain` reads origins from it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value as Json;
use toml_edit::{InlineTable, Item, TableLike, Value as Toml};

use super::mask;
use super::source::{Place, Source};

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
    /// Whether a variable stood in it: its text is then read as whatever the key wants.
    pub(crate) from_variable: bool,
    /// Whether its schema says that it is not for showing.
    pub(crate) secret: bool,
}

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    List(Vec<Node>),
    Table(Table),
    /// Something was wrong with it and has been told: it counts as present and is not read.
    Broken,
}

/// Keys with their own places.
pub(crate) type Table = BTreeMap<String, Entry>;

/// What stands under a key.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Place,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn new(value: Value, place: Place) -> Self {
        Node { value, place, from_variable: false, secret: false }
    }

    /// The tree of a parsed file.
    pub(crate) fn of_table(source: &Arc<Source>, table: &dyn TableLike, span: Range<usize>) -> Self {
        let entries = table.iter().filter_map(|(name, item)| {
            let key = table.key(name).and_then(toml_edit::Key::span).unwrap_or_else(|| span.clone());
            let node = Node::of_item(source, item, &key)?;
            Some((name.to_owned(), Entry { key: Place::new(source, key), node }))
        });
        Node::new(Value::Table(entries.collect()), Place::new(source, span))
    }

    /// The tree of one value.
    pub(crate) fn of_value(source: &Arc<Source>, value: &Toml, key: &Range<usize>) -> Self {
        let span = value.span().unwrap_or_else(|| key.clone());
        let plain = match value {
            Toml::String(text) => Value::Text(text.value().clone()),
            Toml::Integer(number) => Value::Integer(*number.value()),
            Toml::Float(number) => Value::Float(*number.value()),
            Toml::Boolean(truth) => Value::Bool(*truth.value()),
            Toml::Datetime(time) => Value::Text(time.value().to_string()),
            Toml::Array(list) => Value::List(list.iter().map(|v| Node::of_value(source, v, &span)).collect()),
            Toml::InlineTable(table) => return Node::of_inline(source, table, span),
        };
        Node::new(plain, Place::new(source, span))
    }

    fn of_inline(source: &Arc<Source>, table: &InlineTable, span: Range<usize>) -> Self {
        Node::of_table(source, table, span)
    }

    fn of_item(source: &Arc<Source>, item: &Item, key: &Range<usize>) -> Option<Self> {
        let span = item.span().unwrap_or_else(|| key.clone());
        match item {
            Item::None => None,
            Item::Value(value) => Some(Node::of_value(source, value, key)),
            Item::Table(table) => Some(Node::of_table(source, table, span)),
            Item::ArrayOfTables(tables) => {
                let of = |table: &toml_edit::Table| Node::of_table(source, table, table.span().unwrap_or_else(|| span.clone()));
                Some(Node::new(Value::List(tables.iter().map(of).collect()), Place::new(source, span)))
            }
        }
    }

    pub(crate) fn table(&self) -> Option<&Table> {
        if let Value::Table(table) = &self.value { Some(table) } else { None }
    }

    pub(crate) fn list(&self) -> &[Node] {
        if let Value::List(list) = &self.value { list } else { &[] }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// What stands under a key of a table.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        Some(&self.table()?.get(key)?.node)
    }

    /// What stands at a path of keys.
    pub(crate) fn find<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> Option<&Node> {
        keys.into_iter().try_fold(self, |node, key| node.get(key))
    }

    /// Lays `over` on it: tables key by key, anything else in its place.
    pub(crate) fn lay(&mut self, over: Node) {
        match (&mut self.value, over.value) {
            (Value::Table(under), Value::Table(over)) => {
                for (name, entry) in over {
                    match under.get_mut(&name) {
                        Some(old) => old.node.lay(entry.node),
                        None => _ = under.insert(name, entry),
                    }
                }
            }
            (_, Value::Broken) => {}
            (_, value) => *self = Node { value, ..over },
        }
    }

    /// The table with only, or without, the keys that `of` has.
    pub(crate) fn part(&self, of: impl Fn(&str) -> bool) -> Node {
        let entries = self.table().into_iter().flatten().filter(|(name, _)| of(name)).map(|(n, e)| (n.clone(), e.clone()));
        Node::new(Value::Table(entries.collect()), self.place.clone())
    }

    /// As JSON, without what is broken.
    pub(crate) fn json(&self) -> Json {
        self.json_with(&|node| match &node.value {
            Value::Text(text) => text.clone().into(),
            value => value.scalar(),
        })
    }

    /// The same for showing: without secrets.
    pub(crate) fn shown_json(&self) -> Json {
        self.json_with(&|node| match &node.value {
            _ if node.secret => mask::COVER.into(),
            Value::Text(text) => mask::shown(text).into(),
            value => value.scalar(),
        })
    }

    fn json_with(&self, leaf: &dyn Fn(&Node) -> Json) -> Json {
        match &self.value {
            Value::List(list) => list.iter().filter(|n| !n.is_broken()).map(|n| n.json_with(leaf)).collect(),
            Value::Table(table) => {
                let whole = table.iter().filter(|(_, e)| !e.node.is_broken());
                Json::Object(whole.map(|(name, e)| (name.clone(), e.node.json_with(leaf))).collect())
            }
            _ => leaf(self),
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.value, Value::Broken)
    }
}

impl Value {
    /// A number or truth value as JSON.
    fn scalar(&self) -> Json {
        match self {
            Value::Integer(number) => (*number).into(),
            Value::Float(number) => (*number).into(),
            Value::Bool(truth) => (*truth).into(),
            _ => Json::Null,
        }
    }
}
