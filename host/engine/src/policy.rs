//! Everything that is configured for one subscription, as trusted values.

use std::sync::Arc;

use longshore_core::{
    Batching, Breaker, DeadLetterPolicy, DedupKey, DedupTimes, Delivery, Flag, Inbox, Limits, Order, Outlet, Outlets, RetryPolicy,
    Subscribe, SubscriptionInfo,
};

use crate::backoff::Reconnect;

/// Where an output leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Through the broker that the message came from.
    Home,
    /// Through another, an index into the outlets.
    Outlet(usize),
}

/// What a subscription does about duplicates.
#[derive(Clone)]
pub struct Dedup {
    /// What two deliveries of one message have in common.
    pub key: DedupKey,
    /// For how long.
    pub times: DedupTimes,
    /// What remembers them, where the broker does not do it itself.
    pub inbox: Option<Arc<dyn Inbox>>,
    /// Drawn at random by each process.
    pub process: u64,
}

/// The policy of one subscription.
#[derive(Clone)]
pub struct Policy {
    /// What calls tell the guest.
    pub info: Arc<SubscriptionInfo>,
    /// What the broker is asked for.
    pub subscribe: Subscribe,
    /// When a message counts as settled.
    pub delivery: Delivery,
    /// Calls at once, over all lanes; at least 1.
    pub concurrency: usize,
    /// Bytes held at once, over all lanes; one message is always let in.
    pub max_bytes_in_flight: usize,
    /// Messages a call.
    pub batching: Batching,
    /// When a failed message comes again.
    pub retry: RetryPolicy,
    /// What becomes of those given up.
    pub dead_letter: DeadLetterPolicy,
    /// When consuming pauses.
    pub breaker: Option<Breaker>,
    /// Hand-overs without an outcome after which a message runs alone, and then is given up.
    pub max_deliveries: u32,
    /// Whether a message that was done is handled again when it comes again.
    pub dedup: Option<Dedup>,
    /// Bounds of outputs.
    pub limits: Limits,
    /// Where outputs may go.
    pub outlets: Outlets,
    /// The publishing side of the subscription's own broker: dead letters and replies leave through it.
    pub home: Option<Outlet>,
    /// Name, version and digest of the component, for dead letters.
    pub component: String,
    /// Waits when the broker is in trouble.
    pub reconnect: Reconnect,
    /// Seed of everything random.
    pub seed: u64,
}

impl Policy {
    /// Whether outputs and dead letters of the own broker leave in the settlement's transaction. Not where a store remembers what is done: what
    /// a broker drops from a settlement that comes too late it does not tell, so outputs have to be out before their message is remembered.
    pub(crate) fn transactional(&self) -> bool {
        let is_able = self.home.as_ref().is_some_and(|h| h.capabilities.has(Flag::Transactions));
        let is_remembered_apart = self.dedup.as_ref().is_some_and(|dedup| dedup.inbox.is_some());
        self.delivery == Delivery::AtLeastOnce && is_able && !is_remembered_apart
    }

    /// The route of an outlet.
    pub(crate) fn route(&self, outlet: usize) -> Route {
        if self.outlets.brokers[outlet].broker == self.info.broker { Route::Home } else { Route::Outlet(outlet) }
    }

    /// The outlet of a route; none when the own broker cannot publish.
    pub(crate) fn outlet(&self, route: Route) -> Option<&Outlet> {
        match route {
            Route::Home => self.home.as_ref(),
            Route::Outlet(index) => self.outlets.brokers.get(index),
        }
    }

    /// How order is kept.
    pub(crate) fn order(&self) -> Order {
        self.info.order
    }
}
