//! What a configuration names on a broker: for who asks whether it is there, and for a broker that does not list what it has.

use std::collections::BTreeSet;

use longshore_core::Subscribe;

use super::path::KeyPath;
use super::trusted::{Config, SubscriptionConfig};

impl SubscriptionConfig {
    /// What is asked of the broker of that name, where messages are consumed there or copied from there.
    pub fn asked_of(&self, broker: &str) -> Option<Subscribe> {
        match &self.copied {
            Some(copied) if copied.broker == broker => Some(self.subscribe_to_copy(copied)),
            _ => (self.broker == broker).then(|| self.subscribe()),
        }
    }
}

impl Config {
    /// What is published to on a broker, each once and where it is said: what is granted by its name, and dead letters.
    pub fn published_on(&self, broker: &str) -> Vec<(KeyPath, String)> {
        let grants = self.handlers.values().flat_map(|h| &h.publish).chain(self.jobs.values().flat_map(|j| &j.publish));
        let granted = grants.filter(|grant| grant.broker == broker && !grant.topics.is_wild());
        let granted = granted.map(|grant| (grant.path.clone(), grant.topics.as_str().to_owned()));
        let dead = self.subscriptions().filter(|s| s.broker == broker).flat_map(|s| {
            let group = s.group.as_deref().unwrap_or(&s.handler);
            let topics = s.topics.iter().filter(|topic| !topic.is_wild());
            topics.filter_map(move |topic| Some((s.path.key("dead-letter"), s.dead_letter.destination(topic.as_str(), group)?)))
        });
        let mut seen = BTreeSet::new();
        granted.chain(dead).filter(|(_, topic)| seen.insert(topic.clone())).collect()
    }
}
