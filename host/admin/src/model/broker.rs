//! Brokers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a broker fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It answers.
    Healthy,
    /// It answers, and something of it fails.
    Degraded,
    /// It does not answer.
    Unhealthy,
}

impl Health {
    /// The word that people read.
    pub fn name(self) -> &'static str {
        match self {
            Health::Healthy => "healthy",
            Health::Degraded => "degraded",
            Health::Unhealthy => "unhealthy",
        }
    }
}

/// One configured broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BrokerStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Its `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How it fares.
    pub status: Health,
    /// Whether all of it works.
    pub healthy: bool,
    /// Whether it answered the ping of this moment.
    pub connected: bool,
    /// When it last answered.
    pub last_ping_at: Option<u64>,
    /// Milliseconds that the answer took.
    pub ping_ms: Option<f64>,
    /// Milliseconds since it was opened.
    pub uptime_ms: Option<u64>,
    /// Connections that are open, where the adapter counts them.
    pub connections: Option<u64>,
    /// Messages published and consumed a second, over the last minute or since it was opened; `null` where no host runs.
    pub request_rate: Option<f64>,
    /// Messages published by this host since its start, confirmed: outputs, dead letters, and what was sent at once or by a command; `null`
    /// where no host runs.
    pub published: Option<u64>,
    /// Messages consumed by this host's subscriptions since its start, each time one came to an outcome; `null` where no host runs.
    pub consumed: Option<u64>,
    /// Topics.
    pub topics: Option<u64>,
    /// Messages kept on all topics.
    pub messages: Option<u64>,
    /// Groups.
    pub groups: Option<u64>,
    /// Effective settings, secrets hidden.
    pub settings: serde_json::Value,
    /// What fails.
    pub error: Option<String>,
}

/// Whether a broker answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ping {
    /// The broker's name.
    pub broker: String,
    /// Whether it did.
    pub up: bool,
    /// Milliseconds that it took, or that were waited.
    pub took_ms: f64,
    /// Why not.
    pub error: Option<String>,
}

/// What a broker, or a type of broker, can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrokerCapabilities {
    /// The broker's name in the configuration; `null` for a type as such.
    pub broker: Option<String>,
    /// Its `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The highest tier of which it has every flag.
    pub tier: Option<String>,
    /// Every flag there is, in the order of tables, and who provides it.
    pub flags: Vec<(String, Provided)>,
}

/// Who provides a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Provided {
    /// The broker itself.
    Broker,
    /// The host makes up for it.
    Host,
    /// Nobody: asking for it is an error.
    No,
}
