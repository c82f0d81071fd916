//! The engine's metrics. Labels are resolved once a subscription; hot code only increments.

mod durations;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use longshore_core::SubscriptionInfo;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use durations::Durations;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySubscription {
    subscription: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Consumed {
    broker: String,
    subscription: String,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Published {
    broker: String,
    handler: String,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Errors {
    broker: String,
    class: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcomes {
    subscription: String,
    outcome: String,
    class: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByClass {
    subscription: String,
    class: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    subscription: String,
    reason: String,
}

/// All families. One for a host; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    consumed: Family<Consumed, Counter<u64, AtomicU64>>,
    published: Family<Published, Counter<u64, AtomicU64>>,
    durations: Family<BySubscription, Durations>,
    errors: Family<Errors, Counter<u64, AtomicU64>>,
    outcomes: Family<Outcomes, Counter<u64, AtomicU64>>,
    retries: Family<ByClass, Counter<u64, AtomicU64>>,
    dead_letters: Family<ByReason, Counter<u64, AtomicU64>>,
    in_flight: Family<BySubscription, Gauge<i64, AtomicI64>>,
    stale: Family<BySubscription, Counter<u64, AtomicU64>>,
    duplicates: Family<BySubscription, Counter<u64, AtomicU64>>,
    dropped: Family<BySubscription, Counter<u64, AtomicU64>>,
    lost: Family<BySubscription, Counter<u64, AtomicU64>>,
    breaker: Family<BySubscription, Gauge<i64, AtomicI64>>,
}

impl Metrics {
    /// Registers every family under its public name.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("messaging_messages_consumed", "Messages settled, by outcome", self.consumed.clone());
        registry.register("messaging_messages_published", "Outputs and dead letters published", self.published.clone());
        registry.register_with_unit(
            "messaging_message_processing_duration",
            "Handler time of a message; in a call of several each has its share",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register("messaging_errors", "Failures of messages and of brokers, by class", self.errors.clone());
        registry.register("longshore_outcomes", "What became of messages", self.outcomes.clone());
        registry.register("longshore_retries", "Messages that come again", self.retries.clone());
        registry.register("longshore_dead_letters", "Messages given up", self.dead_letters.clone());
        registry.register("longshore_in_flight", "Messages received and not settled", self.in_flight.clone());
        registry.register("longshore_stale_settlements", "Settlements of what was settled already or is not ours", self.stale.clone());
        registry.register("longshore_duplicates", "Messages that were not handled because they were done before", self.duplicates.clone());
        registry.register("longshore_dropped", "Messages of a broker that forgets for which there was no room", self.dropped.clone());
        registry.register(
            "longshore_lost",
            "Messages gone from the broker before they were finished, as far as it tells",
            self.lost.clone(),
        );
        registry.register("longshore_breaker_state", "0 closed, 1 half-open, 2 open", self.breaker.clone());
    }

    /// The handles of one subscription, every name present from the start.
    pub(crate) fn subscription(&self, info: &Arc<SubscriptionInfo>) -> Handles {
        let by = BySubscription { subscription: info.name.clone() };
        let outcome = |o: &str| Consumed { broker: info.broker.clone(), subscription: info.name.clone(), outcome: o.into() };
        let handles = Handles {
            ok: self.consumed.get_or_create_owned(&outcome("ok")),
            durations: self.durations.get_or_create_owned(&by),
            in_flight: self.in_flight.get_or_create_owned(&by),
            stale: self.stale.get_or_create_owned(&by),
            duplicates: self.duplicates.get_or_create_owned(&by),
            dropped: self.dropped.get_or_create_owned(&by),
            lost: self.lost.get_or_create_owned(&by),
            breaker: self.breaker.get_or_create_owned(&by),
            families: self.clone(),
            info: info.clone(),
        };
        for o in ["retry", "dead-letter", "discard"] {
            drop(self.consumed.get_or_create_owned(&outcome(o)));
        }
        handles.outcome("ok", "none", 0);
        handles
    }
}

/// The handles of one subscription.
#[derive(Debug, Clone)]
pub(crate) struct Handles {
    ok: Counter<u64, AtomicU64>,
    durations: Durations,
    pub(crate) in_flight: Gauge<i64, AtomicI64>,
    pub(crate) stale: Counter<u64, AtomicU64>,
    duplicates: Counter<u64, AtomicU64>,
    pub(crate) dropped: Counter<u64, AtomicU64>,
    pub(crate) lost: Counter<u64, AtomicU64>,
    pub(crate) breaker: Gauge<i64, AtomicI64>,
    families: Metrics,
    info: Arc<SubscriptionInfo>,
}

impl Handles {
    /// A call of `messages` took `elapsed`.
    pub(crate) fn called(&self, messages: usize, elapsed: Duration) {
        self.durations.observe(elapsed / u32::try_from(messages.max(1)).unwrap_or(u32::MAX), messages as u64);
    }

    /// So many messages were done and settled.
    pub(crate) fn done(&self, messages: u64) {
        self.ok.inc_by(messages);
        self.outcome("ok", "none", messages);
    }

    /// A message goes back to the broker.
    pub(crate) fn retried(&self, class: &str) {
        self.consumed("retry");
        self.outcome("retry", class, 1);
        let label = ByClass { subscription: self.info.name.clone(), class: class.into() };
        self.families.retries.get_or_create(&label).inc();
        self.error(class);
    }

    /// A message was given up.
    pub(crate) fn dead(&self, reason: &str, class: &str) {
        self.consumed("dead-letter");
        self.outcome("dead-letter", class, 1);
        let label = ByReason { subscription: self.info.name.clone(), reason: reason.into() };
        self.families.dead_letters.get_or_create(&label).inc();
        self.error(class);
    }

    /// A message was forgotten on the handler's word.
    pub(crate) fn discarded(&self) {
        self.consumed("discard");
        self.outcome("discard", "discard", 1);
    }

    /// A message was done before.
    pub(crate) fn duplicate(&self) {
        self.duplicates.inc();
        self.consumed("duplicate");
        self.outcome("duplicate", "duplicate", 1);
    }

    /// So many outputs left through `broker`.
    pub(crate) fn published(&self, broker: &str, outcome: &str, messages: u64) {
        let label = Published { broker: broker.into(), handler: self.info.handler.clone(), outcome: outcome.into() };
        self.families.published.get_or_create(&label).inc_by(messages);
    }

    /// Something failed.
    pub(crate) fn error(&self, class: &str) {
        let label = Errors { broker: self.info.broker.clone(), class: class.into() };
        self.families.errors.get_or_create(&label).inc();
    }

    fn consumed(&self, outcome: &str) {
        let label = Consumed { broker: self.info.broker.clone(), subscription: self.info.name.clone(), outcome: outcome.into() };
        self.families.consumed.get_or_create(&label).inc();
    }

    fn outcome(&self, outcome: &str, class: &str, messages: u64) {
        let label = Outcomes { subscription: self.info.name.clone(), outcome: outcome.into(), class: class.into() };
        self.families.outcomes.get_or_create(&label).inc_by(messages);
    }
}
