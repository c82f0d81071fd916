//! Groups that were seen by this process, or that somebody names. What a queue has handed out and not got back is not told over AMQP, so neither is the lag.

use std::sync::Arc;

use longshore_core::{BoxFuture, BrokerError, GroupInfo, Groups, SeekTo, Subscribe};

use super::consumer::plan;
use super::link::Open;
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
                infos.extend(info(&open, topic, group, &queue.name, false).await?);
            }
            Ok(infos)
        })
    }

    fn look<'a>(&'a self, subscribe: &'a Subscribe) -> BoxFuture<'a, Result<Vec<GroupInfo>, BrokerError>> {
        Box::pin(async move {
            let (open, own) = (self.0.publishing.get().await?, subscribe.own.read()?);
            let mut infos = Vec::new();
            for topic in &subscribe.topics {
                let Some(group) = &subscribe.group else { continue };
                // What no queue can be has none.
                let Ok((queue, _)) = plan(&self.0, topic, subscribe, &own) else { continue };
                infos.extend(info(&open, topic.as_str().to_owned(), group.clone(), &queue.name, true).await?);
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

/// A group whose queue is there. `all`: what waits in queues that this process has not declared counts too.
async fn info(open: &Open, topic: String, group: String, queue: &str, all: bool) -> Result<Option<GroupInfo>, BrokerError> {
    let Some((_, members)) = look(open, queue).await? else { return Ok(None) };
    let retries = waits(open, queue, all).await?.iter().map(|(_, messages)| messages).sum();
    Ok(Some(GroupInfo { group, topic, position: 0, lag: None, retries, members, consumers: Vec::new(), created_at: None }))
}
