//! The effective policy of each subscription, with where each value comes from.

use std::fmt;

use serde_json::Value as Json;

use super::elements::{Policy, Subscription};
use super::guarantee::{Guarantee, guarantee};
use super::layers::Layers;
use super::node::Node;
use super::trusted::{Config, SubscriptionConfig};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The place that says it: a file and line, or an argument.
    Place(String),
}

/// One effective value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its key, dotted.
    pub key: String,
    /// As the file would write it.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// A subscription, explained.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    let layers = Layers::new();
    config.subscriptions().filter_map(|subscription| explained(config, &layers, subscription)).collect()
}

/// What is promised about the messages of a subscription of this configuration.
pub(crate) fn promised(config: &Config, subscription: &SubscriptionConfig) -> Option<Guarantee> {
    let broker = config.brokers.get(&subscription.broker)?;
    let of_handler = config.handlers.get(&subscription.handler).map(|handler| &handler.publish);
    let grants = of_handler.or_else(|| Some(&config.jobs.get(&subscription.handler)?.publish));
    let stay = grants.into_iter().flatten().all(|grant| grant.broker == subscription.broker);
    Some(guarantee(broker.registration.capabilities, subscription.delivery, stay))
}

fn explained(config: &Config, layers: &Layers, subscription: &SubscriptionConfig) -> Option<Explained> {
    let broker = config.brokers.get(&subscription.broker)?;
    let tree = &config.origins.tree;
    let entry = config.origins.at(&subscription.path)?;
    let handler = tree.find(["handlers", &subscription.handler]).filter(|_| config.handlers.contains_key(&subscription.handler));
    let policy = layers.policy(tree.get("defaults"), handler, entry);
    let raw: Policy = serde_json::from_value(policy.json()).ok()?;
    let own: Subscription = serde_json::from_value(layers.own(entry)).ok()?;
    let mut settings = Vec::new();
    list(&serde_json::to_value(own).ok()?, Some(entry), "", &mut settings);
    list(&serde_json::to_value(raw).ok()?, Some(&policy), "", &mut settings);
    settings.retain(|setting| setting.key != "name" && !(setting.value == "[]"));
    settings.sort_by(|a, b| a.key.cmp(&b.key));
    Some(Explained {
        subscription: subscription.name.clone(),
        broker: (broker.name.clone(), broker.registration.name),
        guarantee: promised(config, subscription)?,
        settings,
    })
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
