//! The consuming role: a lane for each topic.

use std::sync::Arc;

use futures::{StreamExt, stream};
use longshore_core::{BoxFuture, BrokerError, Consumer, Lane, Lanes, Pattern, Ranges, Start, Subscribe};

use crate::file::TopicFile;
use crate::lane::{Follow, Retries, Settling};
use crate::{Folder, blocking, told};

impl Consumer for Folder {
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Lanes, BrokerError>> {
        Box::pin(async move {
            refuse(&subscribe)?;
            let mut lanes = Vec::new();
            for topic in &subscribe.topics {
                lanes.push(Ok(self.lane(topic, &subscribe).await?));
            }
            // No other lanes come, and none is taken away. The end of the stream would say that the broker was lost.
            Ok(Box::pin(stream::iter(lanes).chain(stream::pending())) as Lanes)
        })
    }
}

impl Folder {
    async fn lane(&self, topic: &Pattern, subscribe: &Subscribe) -> Result<Lane, BrokerError> {
        let file = TopicFile::new(&self.path, topic.as_str()).map_err(BrokerError::give_up)?;
        // Where a lane begins is settled here: what is published once `subscribe` has answered must come.
        let from = match subscribe.start {
            Start::Latest => {
                let file = file.clone();
                blocking(move || file.end(0).map_err(|e| told(&file.name(), &e))).await?
            }
            _ => 0,
        };
        let retries = Arc::new(Retries::default());
        Ok(Lane {
            id: topic.to_string(),
            partition: None,
            source: Box::new(Follow::new(file, from, self.poll_interval.get(), subscribe.max_in_flight, retries.clone())),
            acks: Box::new(Settling { retries }),
            revoked: Box::pin(std::future::pending()),
            finished: Ranges::default(),
            waiting: Vec::new(),
            inbox: None,
            lease: None,
        })
    }
}

/// Refuses what is not among the capabilities. `check` has done so for what is in the configuration; others subscribe too.
fn refuse(subscribe: &Subscribe) -> Result<(), BrokerError> {
    if let Some(group) = &subscribe.group {
        let instead = "leave the group out and every host gets every message, or take a broker with `consumer-groups`, like embedded";
        return Err(BrokerError::give_up(format!("a spool has no groups, so {group:?} cannot share a topic: {instead}")));
    }
    if let Some(pattern) = subscribe.topics.iter().find(|topic| topic.is_wild()) {
        return Err(BrokerError::give_up(format!("a spool has no patterns like {pattern}: list the topics")));
    }
    match &subscribe.start {
        Start::Earliest | Start::Latest => Ok(()),
        start => Err(BrokerError::give_up(format!("a spool begins at \"earliest\" or \"latest\", not at {start:?}"))),
    }
}
