//! Looking whether subjects can be heard and published to: the server tells what the user may do, where it lets the user ask. Nothing is sent.

use longshore_core::{Finding, Intent};

use super::Broker;
use crate::nats::names::filter;

impl Broker {
    /// What is in the way of a subscription.
    pub(super) async fn check_subscription(&self, intent: &Intent) -> Vec<Finding> {
        let filters: Vec<String> = intent.subscribe.topics.iter().map(filter).collect();
        let heard: Vec<&str> = filters.iter().map(String::as_str).collect();
        self.missing(&[], &heard).await
    }

    /// What is in the way of publishing.
    pub(super) async fn check_publishing(&self, topic: &str) -> Vec<Finding> {
        self.missing(&[topic.to_owned()], &[]).await
    }

    async fn missing(&self, publish: &[String], subscribe: &[&str]) -> Vec<Finding> {
        let rights = self.link.rights().await;
        rights.and_then(|rights| rights.missing(publish, subscribe)).into_iter().collect()
    }
}
