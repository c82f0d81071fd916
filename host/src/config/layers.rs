//! The keys that elements have in common, laid over each other: `[defaults]`, then the handler, then the entry of `subscribe`.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::elements::{Instance, Policy, keys};
use super::node::Node;

/// What elements have in common.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    policy: BTreeSet<String>,
    instance: BTreeSet<String>,
}

impl Layers {
    pub(crate) fn new() -> Self {
        Layers { policy: keys::<Policy>(), instance: keys::<Instance>() }
    }

    /// How messages of a subscription are handled: the tree of [`Policy`], every value with the place that it comes from.
    pub(crate) fn policy(&self, defaults: Option<&Node>, handler: Option<&Node>, entry: &Node) -> Node {
        lay(&self.policy, [defaults, handler, Some(entry)])
    }

    /// How instances of a handler run: the tree of [`Instance`].
    pub(crate) fn instance(&self, defaults: Option<&Node>, handler: &Node) -> Node {
        lay(&self.instance, [defaults, Some(handler)])
    }

    /// An element without what it has in common with others.
    pub(crate) fn own(&self, node: &Node) -> Json {
        node.part(|key| !self.policy.contains(key) && !self.instance.contains(key)).json()
    }
}

fn lay<'a>(keys: &BTreeSet<String>, layers: impl IntoIterator<Item = Option<&'a Node>>) -> Node {
    let mut parts = layers.into_iter().flatten().map(|layer| layer.part(|key| keys.contains(key)));
    let mut whole = parts.next().expect("there is at least the element itself");
    parts.for_each(|part| whole.lay(part));
    whole
}
