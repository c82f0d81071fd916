//! One entry of `subscribe`.

use longshore_core::{Delivery as CoreDelivery, Order as CoreOrder, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::policy::add_policy;
use super::texts::Texts;

/// What a handler consumes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(transform = add_policy)]
pub(crate) struct Subscription {
    /// Its name behind the handler's: `billing/orders`. The topics where none is given. A job opens it by this name.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// A topic, or a list of them.
    pub(crate) topic: Texts,
    /// Patterns of topics: `user.*` for one level, `user.**` for all the rest.
    pub(crate) patterns: Vec<String>,
    /// The broker; `default` where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) broker: Option<String>,
    /// The group whose members share the messages. The name of the handler where none is given.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    /// Whether hosts share the messages or each gets all. `queue` where none is given and the broker has groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<Mode>,
    /// What order is kept.
    pub(crate) order: Order,
    /// When a message counts as settled.
    pub(crate) delivery: Delivery,
    /// Where a group begins that has no position yet: `earliest`, `latest`, `none`, a time like `2026-01-31T08:00:00Z`, or a position.
    pub(crate) start: Start,
    /// How much is fetched at once.
    pub(crate) fetch: Fetch,
    /// Whether messages of a broker that forgets are copied into the embedded broker as they come, on the topic of the same name, and consumed
    /// from there: retries, dead letters and everything else hold from the copy on.
    pub(crate) persist: bool,
}

/// Whether hosts share messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// The members of a group share them.
    Queue,
    /// Every host gets a copy, from now on, and nothing is kept for one that is away.
    Broadcast,
}

/// What order is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// None: every message stands alone.
    #[default]
    None,
    /// Messages of one key one after another, keys in parallel.
    Key,
    /// Everything one after another.
    Lane,
}

/// When a message counts as settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Delivery {
    /// After the handler is done with it.
    #[default]
    AtLeastOnce,
    /// Before the handler is called: nothing is tried again, what fails is a dead letter at once.
    AtMostOnce,
}

/// Where a new group begins, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Start(#[schemars(length(min = 1))] pub(crate) String);

/// How much is fetched at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Fetch {
    /// Messages; as many as there is room for where none are given.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_messages: Option<usize>,
    /// How long a pull may wait at the broker, where a host waits there: 1s, and 10s on a `redis-list`, where nothing is said.
    #[schemars(extend("x-positive" = true))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_wait: Option<Span>,
}

impl Default for Start {
    fn default() -> Self {
        Start("earliest".into())
    }
}

impl From<Order> for CoreOrder {
    fn from(order: Order) -> Self {
        match order {
            Order::None => CoreOrder::None,
            Order::Key => CoreOrder::Key,
            Order::Lane => CoreOrder::Lane,
        }
    }
}

impl From<Delivery> for CoreDelivery {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::AtLeastOnce => CoreDelivery::AtLeastOnce,
            Delivery::AtMostOnce => CoreDelivery::AtMostOnce,
        }
    }
}
