//! The configuration as plain values that have been checked. Nothing behind this point reads the file, the environment or a unit again.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longshore_core::{
    Batching, Breaker, Capabilities, DeadLetterPolicy, DedupKey, DedupTimes, Delivery, Fetch, Flag, KeyPattern, Limits, Order, OwnKeys,
    Pattern, Registration, RetryPolicy, Start, StoreRegistration, Subscribe, TopicSettings,
};
use longshore_engine::{Reconnect, retry_delay};
use serde_json::Value as Json;

use super::elements::Restart;
use super::guarantee::{Guarantee, guarantee};
use super::layers::Layers;
use super::mistake::{Mistake, Mistakes};
use super::node::{Node, Value};
use super::path::{KeyPath, Step};
use super::secret::Secret;
use super::source::Place;
use super::stores;

/// Tries of a message whose waits are told to its broker; later ones are as long as the longest.
const TRIES: u32 = 64;

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// The file.
    pub file: PathBuf,
    /// Its folder, from which relative paths start.
    pub folder: PathBuf,
    /// Connections, by name.
    pub brokers: BTreeMap<String, BrokerConfig>,
    /// What keeps values, by name; none where nobody uses any.
    pub stores: BTreeMap<String, StoreConfig>,
    /// Handlers, by name.
    pub handlers: BTreeMap<String, HandlerConfig>,
    /// Jobs, by name.
    pub jobs: BTreeMap<String, JobConfig>,
    /// Topics that are kept in a way of their own.
    pub topics: Vec<TopicConfig>,
    /// The administration interface.
    pub admin: AdminConfig,
    /// How long calls may go on once the host is told to stop.
    pub shutdown_grace: Duration,
    pub(crate) origins: Origins,
    pub(crate) layers: Layers,
}

/// One connection.
#[derive(Clone)]
pub struct BrokerConfig {
    /// Its name.
    pub name: String,
    /// The adapter that `type` picks.
    pub registration: Registration,
    /// The adapter's own keys, as [`Registration::connect`] takes them. May hold secrets.
    pub settings: Json,
    /// All keys of the table as they may be shown: secrets are covered.
    pub shown: Json,
    /// How long the broker may take to confirm a message.
    pub publish_timeout: Duration,
    /// For `send`, commands and HTTP; outputs are tried by their lane.
    pub publish_retry: RetryPolicy,
    /// Waits before connecting again.
    pub reconnect: Reconnect,
    /// How long the broker may take to answer a ping.
    pub ping_timeout: Duration,
    /// Bytes of payload, key and headers that a message may have.
    pub max_message_size: usize,
}

/// One store.
#[derive(Clone)]
pub struct StoreConfig {
    /// Its name.
    pub name: String,
    /// The adapter that `type` picks.
    pub registration: StoreRegistration,
    /// The adapter's own keys, as [`StoreRegistration::connect`] takes them. May hold secrets.
    pub settings: Json,
    /// All keys of the table as they may be shown: secrets are covered.
    pub shown: Json,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// Bytes that a key may have.
    pub max_key_size: usize,
    /// Bytes that a value may have.
    pub max_value_size: usize,
    /// The longest lease of a lock.
    pub max_lock_ttl: Duration,
    /// When a value of a cache goes that was set without a time.
    pub default_ttl: Option<Duration>,
}

/// Leave to use a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketConfig {
    /// The name that the guest says.
    pub alias: String,
    /// The bucket's own name.
    pub bucket: String,
    /// The store's name; it exists.
    pub store: String,
    /// Where it stands in the file.
    pub path: KeyPath,
}

/// Leave to take locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockConfig {
    /// Names of locks.
    pub names: KeyPattern,
    /// The store's name; it exists.
    pub store: String,
    /// Where it stands in the file.
    pub path: KeyPath,
}

/// Buckets and locks that a handler or job may use, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoresConfig {
    /// Caches.
    pub cache: Vec<BucketConfig>,
    /// Key-value buckets.
    pub key_value: Vec<BucketConfig>,
    /// Locks.
    pub locks: Vec<LockConfig>,
}

impl StoresConfig {
    /// The stores that are named, and where.
    pub fn named(&self) -> impl Iterator<Item = (&str, &KeyPath)> {
        let buckets = self.cache.iter().chain(&self.key_value).map(|bucket| (bucket.store.as_str(), &bucket.path));
        buckets.chain(self.locks.iter().map(|lock| (lock.store.as_str(), &lock.path)))
    }
}

/// One handler.
#[derive(Debug, Clone)]
pub struct HandlerConfig {
    /// Its name.
    pub name: String,
    /// What handles the messages.
    pub component: Component,
    /// How the component is built.
    pub build: Option<BuildConfig>,
    /// How long an instance is used.
    pub reuse: Reuse,
    /// Bounds of one call.
    pub limits: Limits,
    /// Where it may publish, in the order of the file.
    pub publish: Vec<PublishConfig>,
    /// Where `destination.output` goes, as the guest would name it.
    pub output: Option<String>,
    /// Buckets that it may use.
    pub stores: StoresConfig,
    /// What the component reads with `config.get`.
    pub config: BTreeMap<String, Secret>,
    /// What it consumes; at least one.
    pub subscriptions: Vec<SubscriptionConfig>,
}

/// What handles messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Component {
    /// A Wasm component in a file.
    File(PathBuf),
    /// What comes with Longshore by the name [`PASS_THROUGH`]: every message goes on to the handler's output.
    PassThrough,
}

/// Name of the handler that comes with Longshore.
pub const PASS_THROUGH: &str = "longshore:pass-through";

impl Component {
    /// The file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Component::File(file) => Some(file),
            Component::PassThrough => None,
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Component::File(file) => file.display().fmt(f),
            Component::PassThrough => f.write_str(PASS_THROUGH),
        }
    }
}

/// One job.
#[derive(Debug, Clone)]
pub struct JobConfig {
    /// Its name.
    pub name: String,
    /// The component's file.
    pub component: PathBuf,
    /// How the component is built.
    pub build: Option<BuildConfig>,
    /// What happens when it ends.
    pub restart: Restart,
    /// Bounds.
    pub limits: Limits,
    /// Where it may publish, in the order of the file.
    pub publish: Vec<PublishConfig>,
    /// Buckets that it may use.
    pub stores: StoresConfig,
    /// What the component reads with `config.get`.
    pub config: BTreeMap<String, Secret>,
    /// What it may ask for messages from; opened by [`SubscriptionConfig::short_name`].
    pub subscriptions: Vec<SubscriptionConfig>,
}

/// How a component is built from its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildConfig {
    /// A line for the shell, run in [`Config::folder`].
    pub command: String,
    /// Files and folders whose change builds it again.
    pub watch: Vec<PathBuf>,
}

/// How long an instance is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// For so many calls; at least 1.
    After(u64),
    /// For one call.
    Fresh,
}

/// Leave to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishConfig {
    /// Topics on the broker.
    pub topics: Pattern,
    /// The broker's name; it exists.
    pub broker: String,
    /// The name that the guest says instead.
    pub alias: Option<String>,
    /// Where it stands in the file.
    pub path: KeyPath,
}

impl PublishConfig {
    /// What a guest says: the other name, or the topic or pattern.
    pub fn said(&self) -> &str {
        self.alias.as_deref().unwrap_or(self.topics.as_str())
    }

    /// Whether the grant covers what a guest would call so.
    pub fn covers(&self, name: &str) -> bool {
        match &self.alias {
            Some(alias) => alias == name,
            None => self.topics.matches(name),
        }
    }
}

/// One subscription.
#[derive(Debug, Clone)]
pub struct SubscriptionConfig {
    /// `handler/topics`, or `handler/name`; unique.
    pub name: String,
    /// The handler's or job's name.
    pub handler: String,
    /// The broker's name; it exists.
    pub broker: String,
    /// Topics and patterns; at least one.
    pub topics: Vec<Pattern>,
    /// `None`: broadcast.
    pub group: Option<String>,
    /// What order is kept.
    pub order: Order,
    /// When a message counts as settled.
    pub delivery: Delivery,
    /// Where a new group begins.
    pub start: Start,
    /// How much is fetched at once.
    pub fetch: Fetch,
    /// Calls at once; at least 1.
    pub concurrency: usize,
    /// Messages held at once; at least a batch.
    pub max_in_flight: usize,
    /// Bytes held at once; at least 1.
    pub max_bytes_in_flight: usize,
    /// How many messages a call gets.
    pub batching: Batching,
    /// When a failed message comes again.
    pub retry: RetryPolicy,
    /// What becomes of messages that are given up.
    pub dead_letter: DeadLetterPolicy,
    /// When consuming pauses.
    pub breaker: Option<Breaker>,
    /// Whether duplicates are handled.
    pub dedup: Option<DedupConfig>,
    /// Hand-overs without outcome after which a message runs alone and is then given up; at least 1.
    pub max_deliveries: u32,
    /// Keys that only its broker knows.
    pub own: OwnKeys,
    /// Where its messages are copied from before it consumes them, where they are.
    pub copied: Option<Copied>,
    /// Where it stands in the file.
    pub path: KeyPath,
}

/// What is done about duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DedupConfig {
    /// What two deliveries of one message have in common.
    pub key: DedupKey,
    /// For how long.
    pub times: DedupTimes,
    /// The store that is named, where one is.
    pub store: Option<String>,
}

impl SubscriptionConfig {
    /// The store that remembers its messages, on a broker of those capabilities; none where that does it itself, or nobody has to.
    pub fn inbox_store(&self, broker: Capabilities) -> Option<&str> {
        let dedup = self.dedup.as_ref().filter(|_| !broker.has(Flag::DedupInbox))?;
        Some(dedup.store.as_deref().unwrap_or(stores::DEFAULT_STORE))
    }

    /// The name without the handler's: what a job opens it by.
    pub fn short_name(&self) -> &str {
        self.name.split_once('/').map_or(self.name.as_str(), |(_, short)| short)
    }

    /// What is asked of the broker.
    pub fn subscribe(&self) -> Subscribe {
        Subscribe {
            topics: self.topics.clone(),
            group: self.group.clone(),
            start: self.start.clone(),
            order: self.order,
            fetch: self.fetch,
            max_in_flight: self.max_in_flight,
            // At most once, nothing comes again.
            delays: if self.delivery == Delivery::AtMostOnce { Vec::new() } else { delays(&self.retry) },
            dedup: self.dedup.as_ref().map(|dedup| dedup.times),
            own: self.own.clone(),
        }
    }

    /// What is asked of the broker that its messages are copied from.
    pub fn subscribe_to_copy(&self, copied: &Copied) -> Subscribe {
        let (group, own) = (copied.group.clone(), copied.own.clone());
        // What was not copied is the broker's no more: there is nothing to wait for.
        Subscribe { group, start: Start::Latest, order: Order::None, delays: Vec::new(), dedup: None, own, ..self.subscribe() }
    }

    /// The broker that its entry names.
    pub fn named_broker(&self) -> &str {
        self.copied.as_ref().map_or(&self.broker, |copied| &copied.broker)
    }

    /// Whether it gets messages of that topic.
    pub fn consumes(&self, topic: &str) -> bool {
        self.topics.iter().any(|pattern| pattern.matches(topic))
    }
}

/// Messages of a broker that forgets are copied into another, on the topic of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The broker that they come from; it exists.
    pub broker: String,
    /// The group that hosts share them by, where that broker has groups.
    pub group: Option<String>,
    /// Keys that only that broker knows.
    pub own: OwnKeys,
}

/// A topic that is kept in a way of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicConfig {
    /// Its name.
    pub name: String,
    /// The broker's name; it exists.
    pub broker: String,
    /// How it is kept.
    pub settings: TopicSettings,
    /// Where it stands in the file.
    pub path: KeyPath,
}

/// The administration interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What a caller must show; there is one when `listen` is not this machine's own.
    pub token: Option<Secret>,
    /// Whether `/metrics` answers.
    pub metrics: bool,
}

impl Config {
    /// The absolute path of its file, by which a host and a command know that they mean the same configuration.
    pub fn place(&self) -> PathBuf {
        self.file.canonicalize().unwrap_or_else(|_| self.file.clone())
    }

    /// The store of that name; where none is configured, the one that is there all the same.
    pub fn store(&self, name: &str) -> Option<StoreConfig> {
        let implied = || stores::implied().filter(|store| self.stores.is_empty() && store.name == name);
        self.stores.get(name).cloned().or_else(implied)
    }

    /// The stores that handlers and jobs name, and where.
    pub fn named_stores(&self) -> impl Iterator<Item = (&str, &KeyPath)> {
        let of_handlers = self.handlers.values().flat_map(|handler| handler.stores.named());
        of_handlers.chain(self.jobs.values().flat_map(|job| job.stores.named()))
    }

    /// All subscriptions, of handlers and jobs.
    pub fn subscriptions(&self) -> impl Iterator<Item = &SubscriptionConfig> {
        let of_handlers = self.handlers.values().flat_map(|handler| &handler.subscriptions);
        of_handlers.chain(self.jobs.values().flat_map(|job| &job.subscriptions))
    }

    /// The topics of one broker that are kept in a way of their own, as [`longshore_core::Connect::topics`] takes them.
    pub fn topics_of(&self, broker: &str) -> Vec<(String, TopicSettings)> {
        let of = self.topics.iter().filter(|topic| topic.broker == broker);
        of.map(|topic| (topic.name.clone(), topic.settings.clone())).collect()
    }

    /// What is promised about the messages of one of this configuration's subscriptions.
    pub fn guarantee(&self, subscription: &SubscriptionConfig) -> Guarantee {
        let broker = self.brokers.get(&subscription.broker).expect("a checked configuration has the brokers that it names");
        let of_handler = self.handlers.get(&subscription.handler).map(|handler| &handler.publish);
        let grants = of_handler.or_else(|| Some(&self.jobs.get(&subscription.handler)?.publish));
        let stay = grants.into_iter().flatten().all(|grant| grant.broker == subscription.broker);
        Guarantee {
            dead_letters: subscription.dead_letter.topic.is_some(),
            copied: subscription.copied.is_some(),
            ..guarantee(&broker.registration, &subscription.own, subscription.delivery, stay)
        }
    }

    /// The keys that a subscription has in common with its handler and the defaults, each with the place that it comes from.
    pub(crate) fn policy(&self, subscription: &SubscriptionConfig) -> Option<Node> {
        let entry = self.origins.at(&subscription.path)?;
        Some(self.layers.policy(self.origins.tree.get("defaults"), self.handler_layer(subscription), entry))
    }

    /// The same for the instances of its handler; `None` for a job.
    pub(crate) fn instance(&self, subscription: &SubscriptionConfig) -> Option<Node> {
        Some(self.layers.instance(self.origins.tree.get("defaults"), self.handler_layer(subscription)?))
    }

    fn handler_layer(&self, subscription: &SubscriptionConfig) -> Option<&Node> {
        let handler = self.handlers.get(&subscription.handler)?;
        self.origins.tree.find(["handlers", &handler.name])
    }

    /// A mistake that shows only later (a missing file, a component that wants what it is not granted), told like any other. The place is that of
    /// the path, or of the nearest table above it.
    pub fn mistake(&self, path: &KeyPath, problem: impl Into<String>, help: impl Into<String>) -> Mistake {
        Mistake::new(path, &self.origins.place(path), problem).help(help)
    }

    /// Gathers mistakes for showing, with the secrets of this file covered.
    pub fn mistakes(&self, list: Vec<Mistake>) -> Mistakes {
        Mistakes { list, secrets: self.origins.secrets.clone() }
    }
}

/// The tree behind a configuration, kept for telling where a value comes from. Does not show: it holds secrets.
pub(crate) struct Origins {
    pub(crate) tree: Node,
    pub(crate) secrets: Vec<Place>,
}

impl Origins {
    /// Where the value at a path stands, or the nearest above it.
    pub(crate) fn place(&self, path: &KeyPath) -> Place {
        self.walk(path).0.place.clone()
    }

    /// The value at a path.
    pub(crate) fn at(&self, path: &KeyPath) -> Option<&Node> {
        let (node, whole) = self.walk(path);
        whole.then_some(node)
    }

    /// The value at a path, or the nearest above it, and whether it is the one.
    fn walk(&self, path: &KeyPath) -> (&Node, bool) {
        let mut node = &self.tree;
        for step in path.steps() {
            let next = match (step, &node.value) {
                (Step::Key(key), Value::Table(table)) => table.get(key).map(|entry| &entry.node),
                (Step::Index(index), Value::List(list)) => list.get(*index),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => return (node, false),
            }
        }
        (node, true)
    }
}

/// The waits of a policy, from each one's shortest to its longest.
fn delays(policy: &RetryPolicy) -> Vec<(Duration, Duration)> {
    (1..policy.max_attempts.min(TRIES)).map(|n| (retry_delay(policy, n, 0.0), retry_delay(policy, n, 1.0))).collect()
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origins")
    }
}

/// Without secrets.
impl fmt::Debug for BrokerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("BrokerConfig");
        shown.field("name", &self.name).field("type", &self.registration.name).field("settings", &self.shown);
        shown.field("publish_timeout", &self.publish_timeout).field("publish_retry", &self.publish_retry);
        shown.field("reconnect", &self.reconnect).field("ping_timeout", &self.ping_timeout);
        shown.field("max_message_size", &self.max_message_size).finish()
    }
}

/// Without secrets.
impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("StoreConfig");
        shown.field("name", &self.name).field("type", &self.registration.name).field("settings", &self.shown);
        shown.field("timeout", &self.timeout).field("max_key_size", &self.max_key_size).field("max_value_size", &self.max_value_size);
        shown.field("max_lock_ttl", &self.max_lock_ttl).field("default_ttl", &self.default_ttl).finish()
    }
}
