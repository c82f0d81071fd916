//! Whole files: what is wrong with them, and what they mean.

mod bus;
mod explained;
mod fresh;
mod good;
mod mangled;
mod mistakes;

use std::collections::BTreeMap;
use std::fs;

use longshore_core::{Adapter, BoxFuture, BrokerError, Capabilities, Connect, Flag, NoKeys, Refused, Registration, Roles, Size, Subscribe};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Ask, Config, FILE_NAME, LoadError, Look, load, markdown, schema_text};

/// A file or several, arguments and variables, to be loaded.
#[derive(Default)]
struct Case {
    files: BTreeMap<&'static str, String>,
    ask: Ask,
    variables: BTreeMap<&'static str, &'static str>,
}

/// A case with only `longshore.toml`.
fn file(text: &str) -> Case {
    Case::default().beside(FILE_NAME, text)
}

impl Case {
    fn beside(mut self, name: &'static str, text: &str) -> Self {
        self.files.insert(name, text.trim_start().into());
        self
    }

    fn set(mut self, argument: &str) -> Self {
        self.ask.set.push(argument.into());
        self
    }

    fn env(mut self, env: &str) -> Self {
        self.ask.env = Some(env.into());
        self
    }

    fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.insert(name, value);
        self
    }

    fn load(&self) -> Result<Config, LoadError> {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in &self.files {
            fs::write(folder.path().join(name), text).expect("a file");
        }
        let ask = Ask { folder: folder.path().into(), ..self.ask.clone() };
        load(&ask, ADAPTERS, &|name| self.variables.get(name).map(|value| (*value).into()))
    }

    /// The values of a good case.
    fn good(&self) -> Config {
        self.load().unwrap_or_else(|error| panic!("{}", error.render(Look::Plain)))
    }

    /// What is wrong with a bad case, as a person reads it.
    fn wrong(&self) -> String {
        self.load().expect_err("a mistake").render(Look::Plain)
    }
}

#[test]
fn the_reference_page_tells_every_key() {
    insta::assert_snapshot!(markdown(ADAPTERS));
}

#[test]
fn the_schema_refers_only_to_what_it_defines() {
    let text = schema_text(ADAPTERS);
    let schema: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let references = text.split("\"$ref\": \"#").skip(1).filter_map(|rest| rest.split('"').next());
    let mut count = 0;
    for pointer in references {
        assert!(schema.pointer(pointer).is_some(), "{pointer}");
        count += 1;
    }
    assert!(count > 20, "{count}");
}

/// Stand-ins for the adapters of a host: one that can all, one that can little.
const ADAPTERS: &[Registration] =
    &[Registration::of::<Embedded>(), Registration::of::<Pubsub>(), Registration::of::<Queue>(), Registration::of::<Log>()];

struct Embedded;

/// The database of this host.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct EmbeddedConfig {
    /// The file, relative to the configuration.
    path: String,
    /// A key that every broker has, and this adapter too.
    max_message_size: Size,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        EmbeddedConfig { path: "longshore.db".into(), max_message_size: Size::from_mib(1) }
    }
}

impl Adapter for Embedded {
    const NAME: &'static str = "embedded";
    const CAPABILITIES: Capabilities = Capabilities::of(&Flag::ALL);
    const IN_PROCESS: bool = true;
    type Config = EmbeddedConfig;
    type Subscription = NoKeys;
    type Topic = NoKeys;

    fn able(config: &EmbeddedConfig) -> Capabilities {
        if config.path == "divided.db" { Self::CAPABILITIES.without(Flag::Transactions) } else { Self::CAPABILITIES }
    }

    fn check_topic(name: &str) -> Result<(), String> {
        if name.contains([' ', '/']) { Err(format!("topic {name:?} has a space or a slash")) } else { Ok(()) }
    }

    fn connect(_: EmbeddedConfig, _: Connect) -> BoxFuture<'static, Result<Roles, BrokerError>> {
        Box::pin(std::future::ready(Err(BrokerError::give_up("a stand-in"))))
    }
}

struct Pubsub;

/// A broker that forgets.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PubsubConfig {
    /// Where it is.
    #[expect(dead_code, reason = "never connected")]
    url: String,
    /// What it asks for.
    #[serde(default)]
    #[schemars(extend("format" = "secret"))]
    #[expect(dead_code, reason = "never connected")]
    password: Option<String>,
    /// Faults on purpose.
    #[serde(default)]
    #[expect(dead_code, reason = "never connected")]
    faults: Option<Faults>,
}

/// Faults on purpose.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Faults {
    /// Share of publishes that are refused.
    #[schemars(range(min = 0, max = 1))]
    #[expect(dead_code, reason = "never connected")]
    refuse: f64,
}

/// Keys of a subscription that only it knows.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct PubsubSubscription {
    /// Messages that wait.
    buffer: usize,
}

impl Default for PubsubSubscription {
    fn default() -> Self {
        PubsubSubscription { buffer: 10_000 }
    }
}

impl Adapter for Pubsub {
    const NAME: &'static str = "pubsub";
    const CAPABILITIES: Capabilities = Capabilities::of(&[Flag::Publish, Flag::Subscribe, Flag::Broadcast]);
    const FORGETS: Option<&'static str> = Some("queue");
    type Config = PubsubConfig;
    type Subscription = PubsubSubscription;
    type Topic = NoKeys;

    fn check_subscription(_: &Subscribe, own: &PubsubSubscription) -> Vec<Refused> {
        let silent = own.buffer == 0;
        let refused = Refused { key: "buffer", problem: "a buffer of 0 holds nothing".into(), help: "write at least 1".into() };
        silent.then_some(refused).into_iter().collect()
    }

    fn connect(_: PubsubConfig, _: Connect) -> BoxFuture<'static, Result<Roles, BrokerError>> {
        Box::pin(std::future::ready(Err(BrokerError::give_up("a stand-in"))))
    }
}

/// A broker whose topics are queues.
struct Queue;

impl Adapter for Queue {
    const NAME: &'static str = "queue";
    const CAPABILITIES: Capabilities = Capabilities::of(&[
        Flag::Publish,
        Flag::Subscribe,
        Flag::ConsumerGroups,
        Flag::AckNack,
        Flag::DeliveryGuarantees,
        Flag::BlockingRead,
    ]);
    const IS_QUEUE: bool = true;
    const ACKS_BLINDLY: bool = true;
    const CONNECTS_AGAIN: bool = true;
    const MAX_WAIT: Option<std::time::Duration> = Some(std::time::Duration::from_secs(10));
    type Config = NoKeys;
    type Subscription = NoKeys;
    type Topic = NoKeys;

    fn connect(_: NoKeys, _: Connect) -> BoxFuture<'static, Result<Roles, BrokerError>> {
        Box::pin(std::future::ready(Err(BrokerError::give_up("a stand-in"))))
    }
}

/// A broker whose subscriptions take effect exactly once where they ask for it.
struct Log;

/// Keys of a subscription that only it knows.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct LogSubscription {
    /// Whether it settles in transactions.
    exactly_once: bool,
}

impl Adapter for Log {
    const NAME: &'static str = "log";
    const CAPABILITIES: Capabilities = Embedded::CAPABILITIES.without(Flag::DedupInbox);
    const FENCES: bool = true;
    type Config = NoKeys;
    type Subscription = LogSubscription;
    type Topic = NoKeys;

    fn able_for(own: &LogSubscription, able: Capabilities) -> Capabilities {
        if own.exactly_once { able } else { able.without(Flag::Transactions) }
    }

    fn connect(_: NoKeys, _: Connect) -> BoxFuture<'static, Result<Roles, BrokerError>> {
        Box::pin(std::future::ready(Err(BrokerError::give_up("a stand-in"))))
    }
}
