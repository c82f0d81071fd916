//! Handlers: what the running host says of them, completed with what the brokers know of their groups.

use std::collections::HashMap;

use longshore_admin::ControlError;
use longshore_admin::control::{Answer, HandlerControl};
use longshore_admin::model::{HandlerStatus, Paused, SubscriptionStatus};
use longshore_core::{GroupInfo, Pattern};

use super::HostControl;

impl HandlerControl for HostControl {
    fn handlers(&self) -> Answer<'_, Vec<HandlerStatus>> {
        Box::pin(async move {
            let Some(running) = &self.running else { return Ok(Vec::new()) };
            let mut handlers = running.handlers();
            let groups = self.groups_by_broker(&handlers).await;
            for subscription in handlers.iter_mut().flat_map(|h| &mut h.subscriptions) {
                if let Some(promise) = self.guarantees.get(&subscription.name) {
                    subscription.guarantee.clone_from(promise);
                }
                if let Some(groups) = groups.get(&subscription.broker) {
                    complete(subscription, groups);
                }
            }
            Ok(handlers)
        })
    }

    fn pause<'a>(&'a self, name: &'a str) -> Answer<'a, Paused> {
        Box::pin(async move { self.set_paused(name, true) })
    }

    fn resume<'a>(&'a self, name: &'a str) -> Answer<'a, Paused> {
        Box::pin(async move { self.set_paused(name, false) })
    }
}

impl HostControl {
    fn set_paused(&self, name: &str, paused: bool) -> Result<Paused, ControlError> {
        let Some(running) = &self.running else {
            return Err(ControlError::invalid("no host runs on this configuration, so there is nothing to pause or resume"));
        };
        let subscriptions = running.set_paused(name, paused);
        if subscriptions.is_empty() {
            let names: Vec<String> = running.handlers().into_iter().map(|h| h.name).collect();
            return Err(ControlError::not_found(format!("no handler or subscription {name:?} runs here; handlers: {}", names.join(", "))));
        }
        Ok(Paused { subscriptions, paused })
    }

    /// The groups of every broker that a subscription names. A broker that does not answer is left out: what it knows stays unknown.
    async fn groups_by_broker(&self, handlers: &[HandlerStatus]) -> HashMap<String, Vec<GroupInfo>> {
        let mut found = HashMap::new();
        for broker in &self.brokers {
            let name = &broker.config.name;
            let used = handlers.iter().flat_map(|h| &h.subscriptions).any(|s| s.broker == *name);
            let Some(groups) = broker.groups().ok().filter(|_| used) else { continue };
            if let Ok(Ok(list)) = tokio::time::timeout(broker.config.ping_timeout, groups.list()).await {
                found.insert(name.clone(), list);
            }
        }
        found
    }
}

/// Lag and retries over all topics of a subscription; unknown as soon as one of them is.
fn complete(subscription: &mut SubscriptionStatus, groups: &[GroupInfo]) {
    let patterns: Vec<Pattern> = subscription.topics.iter().filter_map(|t| Pattern::new(t).ok()).collect();
    let mine = |g: &&GroupInfo| Some(&g.group) == subscription.group.as_ref() && patterns.iter().any(|p| p.matches(&g.topic));
    let mine: Vec<&GroupInfo> = groups.iter().filter(mine).collect();
    if mine.is_empty() {
        return;
    }
    subscription.lag = subscription.lag.or_else(|| mine.iter().map(|g| g.lag).sum());
    subscription.retries = subscription.retries.or_else(|| Some(mine.iter().map(|g| g.retries).sum()));
}
