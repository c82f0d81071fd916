//! From the tree to trusted values. What cannot be made is told; what has been told already is left out in silence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use longshore_core::{Pattern, Registration, Span, TopicSettings};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::elements::{Handler, Instance, Job, Topic};
use super::layers::Layers;
use super::mistake::{Mistake, Mistakes};
use super::node::{Entry, Node, Table, Value};
use super::own_keys::Extended;
use super::path::KeyPath;
use super::secret::Secret;
use super::trusted::{BuildConfig, Component, Config, HandlerConfig, JobConfig, Origins, PASS_THROUGH, PublishConfig, TopicConfig};
use super::{admin, brokers, elements, stores, subscriptions};

/// Broker of who names none.
pub(crate) const DEFAULT_BROKER: &str = "default";

/// What adapters add to `[topics.*]`.
pub(crate) const TOPIC: Extended = Extended::new::<Topic>(|adapter| adapter.topic);

/// The configuration that `tree` means. Its references and policies are still to be checked.
pub(crate) fn config(tree: Node, file: PathBuf, adapters: &[Registration], mistakes: &mut Mistakes) -> Config {
    let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut assembly = Assembly { tree: &tree, folder: &folder, layers: Layers::new(), kinds: BTreeMap::new(), mistakes };
    let brokers = brokers::brokers(&mut assembly, adapters);
    assembly.kinds = brokers.values().map(|broker| (broker.name.clone(), broker.registration)).collect();
    let mut stores = stores::stores(&mut assembly);
    let handlers: BTreeMap<String, HandlerConfig> = assembly.each("handlers", Assembly::handler).into_iter().collect();
    let jobs: BTreeMap<String, JobConfig> = assembly.each("jobs", Assembly::job).into_iter().collect();
    let mut granted = handlers.values().map(|h| &h.stores).chain(jobs.values().map(|j| &j.stores));
    let uses_stores = granted.any(|stores| stores.named().next().is_some());
    if uses_stores && tree.get("stores").and_then(Node::table).is_none_or(Table::is_empty) {
        stores.extend(stores::implied().map(|store| (store.name.clone(), store)));
    }
    let topics = assembly.each("topics", Assembly::topic);
    let admin = admin::admin(&mut assembly);
    let grace = tree.get("shutdown-grace").and_then(|node| node.text()?.parse().ok());
    let shutdown_grace = grace.unwrap_or(elements::File::default().shutdown_grace);
    let layers = assembly.layers;
    let secrets = mistakes.secrets.clone();
    Config {
        file,
        brokers,
        stores,
        handlers,
        jobs,
        topics: topics.into_iter().map(|(_, topic)| topic).collect(),
        admin,
        shutdown_grace: Span::get(shutdown_grace),
        folder,
        origins: Origins { tree, secrets },
        layers,
    }
}

/// The work of making values from a tree.
pub(crate) struct Assembly<'a> {
    pub(crate) tree: &'a Node,
    pub(crate) folder: &'a Path,
    pub(crate) layers: Layers,
    /// The adapter of each broker.
    pub(crate) kinds: BTreeMap<String, Registration>,
    pub(crate) mistakes: &'a mut Mistakes,
}

impl Assembly<'_> {
    /// Makes something of each entry of a table at the top.
    pub(crate) fn each<T>(&mut self, table: &str, make: fn(&mut Self, &str, &Node, &KeyPath) -> Option<T>) -> Vec<(String, T)> {
        let entries = self.tree.get(table).and_then(Node::table).into_iter().flatten();
        let path = KeyPath::of([table]);
        let whole = entries.filter(|(_, entry)| entry.node.table().is_some());
        whole.filter_map(|(name, entry)| self.one(name, entry, &path, make)).collect()
    }

    fn one<T>(
        &mut self,
        name: &str,
        entry: &Entry,
        path: &KeyPath,
        make: fn(&mut Self, &str, &Node, &KeyPath) -> Option<T>,
    ) -> Option<(String, T)> {
        Some((name.to_owned(), make(self, name, &entry.node, &path.key(name))?))
    }

    /// An element from JSON. A failure is told unless something has been told already: then it follows from that.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, json: Json, node: &Node, path: &KeyPath) -> Option<T> {
        match serde_json::from_value(json) {
            Ok(element) => Some(element),
            Err(error) => {
                if self.mistakes.is_empty() {
                    self.tell(Mistake::new(path, &node.place, format!("this cannot be read: {error}")));
                }
                None
            }
        }
    }

    pub(crate) fn tell(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }

    fn handler(&mut self, name: &str, node: &Node, path: &KeyPath) -> Option<HandlerConfig> {
        self.name(name, node, path);
        let raw: Handler = self.read(component_element(self.layers.own(node)), node, path)?;
        let merged = self.layers.instance(self.tree.get("defaults"), node);
        let instance: Instance = self.read(merged.json(), node, path)?;
        self.only_empty(&raw.http, node, path);
        let stores = stores::granted(self, node, path);
        Some(HandlerConfig {
            name: name.into(),
            component: self.component(&raw, node, path),
            build: raw.build.map(|build| self.build(build)),
            reuse: instance.reuse.into(),
            limits: instance.limits.limits(),
            publish: self.grants(node, path),
            output: raw.output,
            stores,
            config: settings(node),
            subscriptions: subscriptions::of_handler(self, name, node, path),
        })
    }

    /// A file, or what comes with Longshore. That has no instances, so keys about them are refused.
    fn component(&mut self, raw: &Handler, node: &Node, path: &KeyPath) -> Component {
        let Some(name) = raw.component.strip_prefix("longshore:") else { return Component::File(self.folder.join(&raw.component)) };
        if raw.component != PASS_THROUGH {
            let place = &node.get("component").unwrap_or(node).place;
            let mistake = Mistake::new(&path.key("component"), place, format!("no handler {name:?} comes with Longshore"));
            self.tell(mistake.help(format!("there is {PASS_THROUGH}; anything else is the path of a file")));
            return Component::PassThrough;
        }
        for key in ["build", "config", "limits", "reuse", "stores"] {
            if let Some(value) = node.get(key) {
                let mistake = Mistake::new(&path.key(key), &value.place, format!("`{key}` means nothing for {PASS_THROUGH}"));
                self.tell(mistake.help("take it out"));
            }
        }
        if raw.output.is_none() {
            let mistake = Mistake::new(path, &node.place, format!("{PASS_THROUGH} needs an `output`, where messages go on to"));
            self.tell(mistake.help(r#"add output = "…", one of the topics in `publish`"#));
        }
        Component::PassThrough
    }

    fn job(&mut self, name: &str, node: &Node, path: &KeyPath) -> Option<JobConfig> {
        self.name(name, node, path);
        let mut json = component_element(node.json());
        json["limits"] = self.layers.instance(self.tree.get("defaults"), node).get("limits").map_or(json!({}), Node::json);
        let raw: Job = self.read(json, node, path)?;
        self.no_limits_of_calls(node, path);
        let stores = stores::granted(self, node, path);
        Some(JobConfig {
            name: name.into(),
            component: self.folder.join(&raw.component),
            build: raw.build.map(|build| self.build(build)),
            restart: raw.restart,
            limits: raw.limits.limits(),
            publish: self.grants(node, path),
            stores,
            config: settings(node),
            subscriptions: subscriptions::of_job(self, name, node, path),
        })
    }

    /// A job is one call that lasts as long as it likes.
    fn no_limits_of_calls(&mut self, node: &Node, path: &KeyPath) {
        for key in ["deadline", "cpu"] {
            if let Some(value) = node.get("limits").and_then(|limits| limits.get(key)) {
                let path = path.key("limits").key(key);
                let problem = format!("`limits.{key}` is for calls of handlers: a job runs as long as it likes");
                self.tell(Mistake::new(&path, &value.place, problem).help("take it out"));
            }
        }
    }

    fn topic(&mut self, name: &str, node: &Node, path: &KeyPath) -> Option<TopicConfig> {
        let raw: Topic = self.read(TOPIC.common(node).json(), node, path)?;
        let name = raw.name.clone().unwrap_or_else(|| name.into());
        if self.pattern(&name, node, path).is_some_and(|pattern| pattern.is_wild()) {
            self.tell(Mistake::new(path, &node.place, format!("{name:?} is a pattern")).help("name one topic; each has its own table"));
        }
        let broker = raw.broker.clone().unwrap_or_else(|| DEFAULT_BROKER.into());
        let own = TOPIC.own(self, node, &broker, path);
        Some(TopicConfig { name, broker, settings: TopicSettings { own, ..raw.settings() }, path: path.clone() })
    }

    fn build(&self, raw: elements::Build) -> BuildConfig {
        BuildConfig { command: raw.command, watch: raw.watch.iter().map(|path| self.folder.join(path)).collect() }
    }

    /// What an element may publish to.
    fn grants(&mut self, node: &Node, path: &KeyPath) -> Vec<PublishConfig> {
        let path = path.key("publish");
        let entries = node.get("publish").map(Node::list).unwrap_or_default();
        entries.iter().enumerate().filter_map(|(i, entry)| self.grant(entry, &path.index(i))).collect()
    }

    fn grant(&mut self, node: &Node, path: &KeyPath) -> Option<PublishConfig> {
        if node.is_broken() {
            return None;
        }
        let raw: elements::PublishEntry = self.read(node.json(), node, path)?;
        let raw = raw.grant();
        let topics = self.pattern(&raw.topic, node.get("topic").unwrap_or(node), path)?;
        if topics.is_wild() && raw.alias.is_some() {
            let problem = "a pattern cannot go by another name".to_string();
            self.tell(Mistake::new(path, &node.place, problem).help("name one topic, or take `as` out"));
        }
        let broker = raw.broker.unwrap_or_else(|| DEFAULT_BROKER.into());
        Some(PublishConfig { topics, broker, alias: raw.alias, path: path.clone() })
    }

    /// A topic or pattern from its text.
    pub(crate) fn pattern(&mut self, text: &str, node: &Node, path: &KeyPath) -> Option<Pattern> {
        match Pattern::new(text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let error = error.to_string();
                self.tell(
                    Mistake::new(path, &node.place, error).help("a pattern is like `user.*` for one level, `user.**` for all the rest"),
                );
                None
            }
        }
    }

    /// Grants of what is still to come: a key that is accepted is enforced.
    fn only_empty(&mut self, http: &[String], node: &Node, path: &KeyPath) {
        if !http.is_empty() {
            self.later(node.get("http"), &path.key("http"));
        }
    }

    fn later(&mut self, node: Option<&Node>, path: &KeyPath) {
        let key = path.last_key().unwrap_or_default();
        let mistake = node.map(|node| Mistake::new(path, &node.place, format!("`{key}` is not supported yet, but for an empty list")));
        if let Some(mistake) = mistake {
            self.tell(mistake.help("take it out; this version would not act on it"));
        }
    }

    /// A name that goes into urls, metrics and names of subscriptions.
    pub(crate) fn name(&mut self, name: &str, node: &Node, path: &KeyPath) {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(good) {
            let mistake = Mistake::new(path, &node.place, format!("{name:?} cannot be a name"));
            self.tell(mistake.help("use letters, digits, `-`, `_` and `.`"));
        }
    }
}

/// The JSON of a handler or job without its lists, whose entries are read one by one. A component that is missing has been told.
fn component_element(mut json: Json) -> Json {
    if let Some(object) = json.as_object_mut() {
        object.insert("subscribe".into(), json!([]));
        object.insert("publish".into(), json!([]));
        object.insert("config".into(), json!({}));
        object.entry("component").or_insert_with(|| "".into());
    }
    json
}

/// What the component reads: text as it is, anything else as the file writes it.
fn settings(node: &Node) -> BTreeMap<String, Secret> {
    let table: Option<&Table> = node.get("config").and_then(Node::table);
    let text = |node: &Node| match &node.value {
        Value::Text(text) => Secret::new(text),
        _ => Secret::new(node.place.text()),
    };
    table.into_iter().flatten().map(|(key, entry)| (key.clone(), text(&entry.node))).collect()
}
