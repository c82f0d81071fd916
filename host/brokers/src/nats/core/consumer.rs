//! Subscribing: one lane that hears every topic of the subscription, confirmed by the server.

use std::sync::Arc;

use async_nats::Subscriber;
use futures::{StreamExt, stream};
use longshore_core::{BoxFuture, BrokerError, Connection, Consumer, Finding, Intent, Lane, Lanes, Pattern, Ranges, Subscribe};

use super::acks::CoreAcks;
use super::listening::listening;
use super::source::{CoreSource, Terms};
use super::{Broker, Subscription, refused};
use crate::buffer::Buffer;
use crate::nats::names::filter;

impl Consumer for Broker {
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Lanes, BrokerError>> {
        Box::pin(async move {
            let own: Subscription = subscribe.own.read()?;
            if let Some(refused) = refused(&subscribe, own).first() {
                return Err(BrokerError::give_up(format!("{}: {}; {}", refused.key, refused.problem, refused.help)));
            }
            let lane = self.listen(&subscribe, own).await?;
            // The lane is there for as long as somebody has it: the client makes its subscriptions again after a loss.
            Ok(Box::pin(stream::once(std::future::ready(Ok(lane))).chain(stream::pending())) as Lanes)
        })
    }

    fn check<'a>(&'a self, intent: &'a Intent) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        Box::pin(async move {
            self.link.check()?;
            Ok(self.check_subscription(intent).await)
        })
    }
}

impl Broker {
    async fn listen(&self, subscribe: &Subscribe, own: Subscription) -> Result<Lane, BrokerError> {
        let link = &self.link;
        link.check()?;
        let losses = link.heard.losses();
        let topics = subscribe.topics.iter().map(Pattern::as_str).collect::<Vec<_>>().join("+");
        let filters: Vec<String> = subscribe.topics.iter().map(filter).collect();
        let mut subscribers = Vec::with_capacity(filters.len());
        for filter in &filters {
            link.heard.forget_subscribing(filter);
            subscribers.push(self.hear(filter, subscribe.group.as_deref()).await?);
        }
        // The server reads in order: once it has answered, what is published reaches us.
        link.ping().await?;
        let buffer = Arc::new(Buffer::new(format!("broker {:?}, {topics}", link.name), own));
        let (listening, leaving) = listening(subscribers, buffer.clone(), link.clone());
        let terms = Terms { patterns: subscribe.topics.clone(), filters, shared: subscribe.group.is_some(), losses };
        Ok(Lane {
            id: topics,
            partition: None,
            source: Box::new(CoreSource::new(link.clone(), self.clock.clone(), buffer, terms, listening)),
            acks: Box::new(CoreAcks(leaving)),
            revoked: Box::pin(std::future::pending()),
            finished: Ranges::default(),
            waiting: Vec::new(),
            inbox: None,
            lease: None,
        })
    }

    async fn hear(&self, filter: &str, group: Option<&str>) -> Result<Subscriber, BrokerError> {
        let client = &self.link.client;
        let subscriber = match group {
            Some(group) => client.queue_subscribe(filter.to_owned(), group.to_owned()).await,
            None => client.subscribe(filter.to_owned()).await,
        };
        subscriber.map_err(|error| BrokerError::give_up(format!("subject {filter:?} cannot be subscribed to: {error}")))
    }
}
