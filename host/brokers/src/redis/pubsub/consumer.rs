//! Subscribing: one lane that hears every topic of the subscription, confirmed by the server.

use std::sync::Arc;

use futures::{StreamExt, stream};
use longshore_core::{BoxFuture, BrokerError, Consumer, Finding, Intent, Lane, Lanes, Pattern, Ranges, Subscribe};

use super::acks::PubSubAcks;
use super::ear::Ear;
use super::source::PubSubSource;
use super::wanted::Wanted;
use super::{Broker, Subscription, impossible};
use crate::buffer::Buffer;

impl Consumer for Broker {
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Lanes, BrokerError>> {
        Box::pin(async move {
            let own: Subscription = subscribe.own.read()?;
            if let Some(refused) = own.check() {
                return Err(BrokerError::give_up(format!("{}: {}; {}", refused.key, refused.problem, refused.help)));
            }
            if let Some(error) = impossible(&subscribe) {
                return Err(error);
            }
            let lane = self.listen(&subscribe, own).await?;
            Ok(Box::pin(stream::once(std::future::ready(Ok(lane))).chain(stream::pending())) as Lanes)
        })
    }

    fn check<'a>(&'a self, intent: &'a Intent) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        Box::pin(self.check_subscription(intent))
    }
}

impl Broker {
    async fn listen(&self, subscribe: &Subscribe, own: Subscription) -> Result<Lane, BrokerError> {
        let topics = subscribe.topics.iter().map(Pattern::as_str).collect::<Vec<_>>().join("+");
        let buffer = Arc::new(Buffer::new(format!("broker {:?}, {topics}", self.server.name), own));
        let wanted = Wanted::new(&subscribe.topics);
        let ear = Ear::open(&self.server, &wanted, buffer.clone()).await?;
        Ok(Lane {
            id: topics,
            partition: None,
            source: Box::new(PubSubSource::new(self.server.clone(), self.clock.clone(), wanted, buffer.clone(), ear)),
            acks: Box::new(PubSubAcks(buffer)),
            revoked: Box::pin(std::future::pending()),
            finished: Ranges::default(),
            waiting: Vec::new(),
            inbox: None,
            lease: None,
        })
    }
}
