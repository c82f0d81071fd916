//! Keys of `[brokers.<name>]` with `type = "kafka"`, and of its topics.

use std::collections::BTreeMap;

use longshore_core::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::declare::Declare;
use crate::tls::Tls;

/// A Kafka cluster.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Some brokers of the cluster, each with its port, as a list or with commas between; the others are learnt from them.
    pub bootstrap_servers: Servers,
    /// Name by which the brokers know this client.
    pub client_id: String,
    /// Who we are.
    pub security: Security,
    /// Encryption. `tls.enabled` and `security.protocol` say the same in two ways, of which one is enough.
    pub tls: Tls,
    /// How long connecting may take.
    #[schemars(extend("x-positive" = true))]
    pub connect_timeout: Span,
    /// How long a broker may take to answer anything.
    #[schemars(extend("x-positive" = true))]
    pub request_timeout: Span,
    /// Silence after which the cluster takes a host's partitions away.
    #[schemars(extend("x-positive" = true))]
    pub session_timeout: Span,
    /// How often a host tells that it lives; at most a third of `session-timeout`.
    #[schemars(extend("x-positive" = true))]
    pub heartbeat_interval: Span,
    /// Whether topics that are missing are made (`create`), only looked for (`passive`), or left to the brokers (`none`).
    pub declare: Declare,
    /// How messages are sent.
    pub producer: Producer,
    /// Any other property of librdkafka, passed on as it is. Those that have a key here, or on which a promise rests, are refused.
    pub properties: BTreeMap<String, String>,
}

/// Brokers to begin with.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Servers {
    /// With commas between.
    Text(String),
    /// A list.
    Many(Vec<String>),
}

/// Who we are.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Security {
    /// `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`. Unset: what follows from `tls.enabled` and `security.mechanism`.
    pub protocol: Option<Protocol>,
    /// How we say who we are, with SASL: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: Option<Mechanism>,
    /// User, with SASL.
    pub username: Option<String>,
    /// Password of the user.
    #[schemars(extend("format" = "secret"))]
    pub password: Option<String>,
}

/// What the connections are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// Neither encryption nor a user.
    #[serde(rename = "PLAINTEXT")]
    Plaintext,
    /// Encryption.
    #[serde(rename = "SSL")]
    Ssl,
    /// A user.
    #[serde(rename = "SASL_PLAINTEXT")]
    SaslPlaintext,
    /// Both.
    #[serde(rename = "SASL_SSL")]
    SaslSsl,
}

/// How we say who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mechanism {
    /// By the password itself.
    #[serde(rename = "PLAIN")]
    Plain,
    /// By proof of it.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// By proof of it.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

/// How messages are sent: always to all in-sync replicas (`acks=all`), once, and in order.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Producer {
    /// How batches are compressed.
    pub compression: Compression,
    /// How long a batch waits for more messages.
    pub linger: Span,
    /// Largest batch.
    #[schemars(extend("x-positive" = true))]
    pub batch_size: Size,
    /// What may wait to be sent; above it, whoever publishes waits.
    #[schemars(extend("x-positive" = true))]
    pub buffer_size: Size,
}

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// Keys of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Subscription {
    /// Where a failed message waits for its next try: in a topic of the group's own (`topics`), while others go on; or in its place (`block`),
    /// while its partition stands still.
    pub retry_mode: RetryMode,
    /// Whether outputs, dead letters and retries leave in one transaction with the offsets, so that a message takes effect exactly once, as far as
    /// its effects are messages of this cluster.
    pub exactly_once: bool,
}

/// Where a failed message waits for its next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RetryMode {
    /// In a topic of the group's own.
    #[default]
    Topics,
    /// In its place.
    Block,
}

/// Keys of `[topics.<name>]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Topic {
    /// Partitions. Unset: the brokers' `num.partitions`. More than there are are added; fewer cannot be.
    #[schemars(range(min = 1, max = 4096))]
    pub partitions: Option<u16>,
    /// Brokers that keep a copy. Unset: the brokers' `default.replication.factor`.
    #[schemars(range(min = 1))]
    pub replication_factor: Option<u8>,
    /// Settings of Kafka for the topic, such as `"cleanup.policy" = "compact"`.
    pub settings: BTreeMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            bootstrap_servers: Servers::Text("localhost:9092".into()),
            client_id: "longshore".into(),
            security: Security::default(),
            tls: Tls::default(),
            connect_timeout: Span::from_secs(10),
            request_timeout: Span::from_secs(30),
            session_timeout: Span::from_secs(30),
            heartbeat_interval: Span::from_secs(3),
            declare: Declare::Create,
            producer: Producer::default(),
            properties: BTreeMap::new(),
        }
    }
}

impl Default for Producer {
    fn default() -> Self {
        Producer {
            compression: Compression::None,
            linger: Span::from_millis(0),
            batch_size: Size::from_bytes(1 << 20),
            buffer_size: Size::from_bytes(32 << 20),
        }
    }
}

impl Servers {
    /// With commas between, as the client wants them.
    pub(super) fn text(&self) -> String {
        match self {
            Servers::Text(text) => text.split(',').map(str::trim).collect::<Vec<_>>().join(","),
            Servers::Many(list) => list.join(","),
        }
    }
}

impl Config {
    /// What the connections are made of.
    pub(super) fn protocol(&self) -> Protocol {
        let told = self.security.protocol;
        told.unwrap_or(match (self.tls.enabled, self.security.mechanism.is_some()) {
            (false, false) => Protocol::Plaintext,
            (true, false) => Protocol::Ssl,
            (false, true) => Protocol::SaslPlaintext,
            (true, true) => Protocol::SaslSsl,
        })
    }
}

impl Protocol {
    pub(super) fn word(self) -> &'static str {
        match self {
            Protocol::Plaintext => "PLAINTEXT",
            Protocol::Ssl => "SSL",
            Protocol::SaslPlaintext => "SASL_PLAINTEXT",
            Protocol::SaslSsl => "SASL_SSL",
        }
    }

    pub(super) fn has_user(self) -> bool {
        matches!(self, Protocol::SaslPlaintext | Protocol::SaslSsl)
    }

    pub(super) fn encrypts(self) -> bool {
        matches!(self, Protocol::Ssl | Protocol::SaslSsl)
    }
}

impl Mechanism {
    pub(super) fn word(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Compression {
    pub(super) fn word(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}
