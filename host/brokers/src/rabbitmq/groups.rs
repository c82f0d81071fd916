//! Groups that were seen by this process. What a queue has handed out and not got back is not told over AMQP, so neither is the lag.

use std::sync::Arc;

use longshore_core::{BoxFuture, BrokerError, GroupInfo, Groups, SeekTo};

use super::server::Server;
use super::topics::waits;
use super::topology::look;

/// The groups of one broker.
pub(super) struct Members(pub(super) Arc<Server>);

impl Groups for Members {
    fn list(&self) -> BoxFuture<'_, Result<Vec<GroupInfo>, BrokerError>> {
        Box::pin(async move {
            // Retries leave over the connection that publishes.
            let open = self.0.publishing.get().await?;
            let mut infos = Vec::new();
            for (topic, group, queue) in self.0.groups() {
                let Some((_, members)) = look(&open, &queue.name).await? else { continue };
                let retries = waits(&open, &queue.name, false).await?.iter().map(|(_, messages)| messages).sum();
                infos.push(GroupInfo { group, topic, position: 0, lag: None, retries, members, created_at: None });
            }
            Ok(infos)
        })
    }

    fn seek<'a>(&'a self, group: &'a str, topic: &'a str, _to: SeekTo) -> BoxFuture<'a, Result<Option<u64>, BrokerError>> {
        Box::pin(async move {
            let how = "RabbitMQ keeps nothing that was acknowledged, so there is nothing to go back to";
            Err(BrokerError::give_up(format!("group {group:?} of topic {topic:?} cannot be moved: {how}")))
        })
    }
}
