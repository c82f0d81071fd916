//! The effective policy of each subscription, with where each value comes from.

use std::fmt;

use longshore_core::{Delivery, Flag, Span};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::elements::{Instance, Policy, Subscription};
use super::guarantee::Guarantee;
use super::node::Node;
use super::subscriptions::{NOT_FOR_JOBS, SUBSCRIPTION};
use super::trusted::{Config, SubscriptionConfig};

/// What means nothing where the broker wakes its readers by itself, and is the broker's kind's to say where nobody else does.
const MAX_WAIT: &str = "fetch.max-wait";
/// What means nothing where nothing is kept.
const KEPT: [&str; 4] = ["retry", "dead-letter", "max-deliveries", "start"];

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The place that says it: a file and line, or an argument.
    Place(String),
}

/// One effective value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its key, dotted.
    pub key: String,
    /// As the file would write it.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// A subscription, explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Its name.
    pub subscription: String,
    /// The broker and its type.
    pub broker: (String, &'static str),
    /// What is promised.
    pub guarantee: Guarantee,
    /// Every effective value, by key.
    pub settings: Vec<Setting>,
}

/// Explains every subscription, by handler, then by job.
pub fn explain(config: &Config) -> Vec<Explained> {
    config.subscriptions().map(|subscription| explained(config, subscription)).collect()
}

fn explained(config: &Config, subscription: &SubscriptionConfig) -> Explained {
    let mut settings = Vec::new();
    if let Some(entry) = config.origins.at(&subscription.path) {
        effective::<Subscription>(entry, &config.layers.own(&SUBSCRIPTION.common(entry)), &mut settings);
        if let Some(broker) = config.brokers.get(subscription.named_broker()) {
            list(&SUBSCRIPTION.effective(&broker.registration, entry), Some(entry), "", &mut settings);
        }
    }
    if let Some(policy) = config.policy(subscription) {
        effective::<Policy>(&policy, &policy.json(), &mut settings);
    }
    if let Some(instance) = config.instance(subscription) {
        effective::<Instance>(&instance, &instance.json(), &mut settings);
    }
    let job = config.jobs.contains_key(&subscription.handler);
    let means_nothing = |key: &str| key == "name" || job && NOT_FOR_JOBS.iter().any(|not| key.split('.').next() == Some(not));
    // What is not said is the broker's to choose, and no value that a file could have.
    settings.retain(|setting| !means_nothing(&setting.key) && setting.value != "[]" && setting.value != "null");
    let registration = config.brokers.get(&subscription.broker).map(|broker| broker.registration);
    if registration.is_some_and(|registration| registration.capabilities.has(Flag::BlockingRead) && registration.max_wait.is_none()) {
        settings.retain(|setting| setting.key != MAX_WAIT);
    } else if !settings.iter().any(|setting| setting.key == MAX_WAIT) {
        let millis = u64::try_from(subscription.fetch.max_wait.as_millis()).unwrap_or(u64::MAX);
        let value = Span::from_millis(millis).to_string();
        settings.push(Setting { key: MAX_WAIT.into(), value, origin: Origin::Default });
    }
    if registration.is_some_and(|registration| registration.forgets.is_some()) {
        settings.retain(|setting| !KEPT.contains(&setting.key.split('.').next().unwrap_or_default()));
        let delivery = settings.iter_mut().filter(|setting| setting.key == "delivery" && setting.origin == Origin::Default);
        delivery.for_each(|setting| setting.value = "at-most-once".into());
    }
    if subscription.delivery == Delivery::AtMostOnce {
        settings.retain(|setting| !setting.key.starts_with("retry."));
    }
    settings.sort_by(|a, b| a.key.cmp(&b.key));
    let kind = registration.map_or("", |registration| registration.name);
    Explained {
        subscription: subscription.name.clone(),
        broker: (subscription.broker.clone(), kind),
        guarantee: config.guarantee(subscription),
        settings,
    }
}

/// All values of an element, with its defaults; `node` knows which of them a file or an argument says.
fn effective<T: DeserializeOwned + Serialize>(node: &Node, json: &Json, settings: &mut Vec<Setting>) {
    let element = serde_json::from_value::<T>(json.clone()).and_then(serde_json::to_value);
    list(&element.expect("a checked configuration can be read and written"), Some(node), "", settings);
}

/// The values of a table, nested ones with dotted keys; `node` is what the files say about it.
fn list(value: &Json, node: Option<&Node>, prefix: &str, settings: &mut Vec<Setting>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let (dotted, node) = (format!("{prefix}{key}"), node.and_then(|node| node.get(key)));
        if value.is_object() {
            list(value, node, &format!("{dotted}."), settings);
        } else {
            let origin = node.map_or(Origin::Default, |node| Origin::Place(node.place.to_string()));
            settings.push(Setting { key: dotted, value: text(value), origin });
        }
    }
}

fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Place(place) => f.write_str(place),
        }
    }
}

/// A heading, the promise, and a table.
impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, kind) = &self.broker;
        writeln!(f, "{} on {name} ({kind})", self.subscription)?;
        writeln!(f, "  {}", self.guarantee)?;
        let width = |of: fn(&Setting) -> &str| self.settings.iter().map(|s| of(s).chars().count()).max().unwrap_or(0);
        let (keys, values) = (width(|s| &s.key), width(|s| &s.value));
        for Setting { key, value, origin } in &self.settings {
            writeln!(f, "    {key:keys$}  {value:values$}  {origin}")?;
        }
        Ok(())
    }
}
