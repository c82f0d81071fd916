//! Every broker that is named exists, and everything that is published by default may be published.

use super::Checking;
use crate::config::assemble::DEFAULT_BROKER;
use crate::config::path::KeyPath;
use crate::config::stores::DEFAULT_STORE;
use crate::config::trusted::PublishConfig;
use crate::config::unknown::did_you_mean;

pub(super) fn check(checking: &mut Checking<'_>) {
    let config = checking.config;
    for subscription in config.subscriptions() {
        broker(checking, &subscription.broker, &subscription.path);
    }
    let grants = config.handlers.values().flat_map(|h| &h.publish).chain(config.jobs.values().flat_map(|j| &j.publish));
    for grant in grants {
        broker(checking, &grant.broker, &grant.path);
    }
    for (name, path) in config.named_stores() {
        store(checking, name, path);
    }
    for topic in &config.topics {
        broker(checking, &topic.broker, &topic.path);
    }
    for handler in config.handlers.values() {
        if let Some(output) = &handler.output {
            output_is_granted(checking, output, &handler.publish, &KeyPath::of(["handlers", &handler.name]));
        }
    }
    for (name, _) in config.jobs.iter().filter(|(name, _)| config.handlers.contains_key(*name)) {
        let mistake =
            config.mistake(&KeyPath::of(["jobs", name]), format!("{name:?} is a handler already"), "give one of the two another name");
        checking.tell_also(mistake, &checking.place(&KeyPath::of(["handlers", name])), "the handler");
    }
}

fn broker(checking: &mut Checking<'_>, name: &str, path: &KeyPath) {
    let config = checking.config;
    // Brokers with mistakes of their own are there, if not in `config.brokers`.
    let table = config.origins.tree.get("brokers").and_then(|node| node.table());
    if table.is_some_and(|table| table.contains_key(name)) || config.brokers.contains_key(name) {
        return;
    }
    let names: Vec<&str> = table.into_iter().flat_map(|table| table.keys()).map(String::as_str).collect();
    if name == DEFAULT_BROKER {
        let help = format!("name one with broker = \"…\" (there is {}), or add [brokers.default]", names.join(", "));
        checking.tell(path, "no broker is named here, and there is no [brokers.default]", help);
    } else {
        checking.tell(&path.key("broker"), format!("there is no broker {name:?}"), did_you_mean(name, &names));
    }
}

fn store(checking: &mut Checking<'_>, name: &str, path: &KeyPath) {
    let config = checking.config;
    // Stores with mistakes of their own are there, if not in `config.stores`.
    let table = config.origins.tree.get("stores").and_then(|node| node.table());
    if table.is_some_and(|table| table.contains_key(name)) || config.stores.contains_key(name) {
        return;
    }
    let names: Vec<&str> = table.into_iter().flat_map(|table| table.keys()).map(String::as_str).collect();
    if name == DEFAULT_STORE && !names.is_empty() {
        let help = format!("name one with store = \"…\" (there is {}), or add [stores.default]", names.join(", "));
        checking.tell(path, "no store is named here, and there is no [stores.default]", help);
    } else if names.is_empty() {
        let help = format!("add [stores.{name}] with a type of {}", crate::STORES.iter().map(|s| s.name).collect::<Vec<_>>().join(", "));
        checking.tell(path, format!("there is no store {name:?}"), help);
    } else {
        checking.tell(&path.key("store"), format!("there is no store {name:?}"), did_you_mean(name, &names));
    }
}

fn output_is_granted(checking: &mut Checking<'_>, output: &str, grants: &[PublishConfig], path: &KeyPath) {
    let written = checking.config.origins.at(&path.key("publish")).map_or(0, |node| node.list().len());
    // With an entry that could not be read nobody knows.
    if written == grants.len() && !grants.iter().any(|grant| grant.covers(output)) {
        let problem = format!("{output:?} is not among the topics that this handler may publish to");
        checking.tell(&path.key("output"), problem, format!("add {output:?} to its `publish` list"));
    }
}
