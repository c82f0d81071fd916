//! Handlers and their subscriptions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a subscription does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SubscriptionState {
    /// Not yet confirmed by the broker.
    Starting,
    /// Consuming.
    Running,
    /// Somebody paused it.
    Paused,
    /// Its circuit breaker is open.
    BreakerOpen,
    /// The broker is gone; it tries again.
    Reconnecting,
    /// It ends.
    Draining,
    /// It ended, and says why.
    Stopped,
}

impl SubscriptionState {
    /// The word that people read.
    pub fn name(self) -> &'static str {
        match self {
            SubscriptionState::Starting => "starting",
            SubscriptionState::Running => "running",
            SubscriptionState::Paused => "paused",
            SubscriptionState::BreakerOpen => "breaker-open",
            SubscriptionState::Reconnecting => "reconnecting",
            SubscriptionState::Draining => "draining",
            SubscriptionState::Stopped => "stopped",
        }
    }
}

/// One subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubscriptionStatus {
    /// `handler/topic`, unique in the configuration.
    pub name: String,
    /// The handler's name.
    pub handler: String,
    /// The broker's name.
    pub broker: String,
    /// Topics and patterns.
    pub topics: Vec<String>,
    /// The group, where the broker has groups.
    pub group: Option<String>,
    /// What it does now.
    pub state: SubscriptionState,
    /// What is promised: `at most once`, `at least once`, `effectively once`.
    pub guarantee: String,
    /// Messages held now.
    pub in_flight: u64,
    /// Messages never finished; `null` where unknown.
    pub lag: Option<u64>,
    /// Messages that wait for a retry in the broker; `null` where unknown.
    pub retries: Option<u64>,
    /// Messages that ended well since the start.
    pub ok: u64,
    /// Failed tries since the start.
    pub failed: u64,
    /// Dead letters written since the start.
    pub dead: u64,
    /// Messages since the start that were not handled because they were done before.
    pub duplicates: u64,
    /// What is wrong, if anything.
    pub error: Option<String>,
}

/// One handler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HandlerStatus {
    /// Its name in the configuration.
    pub name: String,
    /// The component's file.
    pub component: String,
    /// The component's version, where it says one.
    pub version: Option<String>,
    /// SHA-256 of the component.
    pub digest: Option<String>,
    /// Its subscriptions.
    pub subscriptions: Vec<SubscriptionStatus>,
}

/// Which subscriptions were paused or resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Paused {
    /// Their names.
    pub subscriptions: Vec<String>,
    /// Whether they are paused now.
    pub paused: bool,
}
