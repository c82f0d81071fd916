//! Topics, as far as AMQP shows them: those that have a table, those that were met, and queues by their name. A list of all queues needs the management plugin,
//! which is not to be needed.

use std::sync::Arc;

use lapin::options::{QueueDeleteOptions, QueuePurgeOptions};
use longshore_core::{Batch, BoxFuture, BrokerError, Page, TopicInfo, TopicSettings, Topics};

use super::config::Topic;
use super::link::Open;
use super::names::{self, Tier};
use super::server::Server;
use super::topology::{Exchange, Queue, close, look, short};
use super::trouble;
use crate::declare::Declare;

/// The topics of one broker.
pub(super) struct Catalog(pub(super) Arc<Server>);

impl Topics for Catalog {
    fn list(&self) -> BoxFuture<'_, Result<Vec<TopicInfo>, BrokerError>> {
        Box::pin(async move {
            let open = self.0.publishing.get().await?;
            let mut infos = Vec::new();
            for name in self.0.topics() {
                infos.extend(self.info(&open, name, false).await?);
            }
            Ok(infos)
        })
    }

    fn look<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Option<TopicInfo>, BrokerError>> {
        Box::pin(async move {
            let open = self.0.publishing.get().await?;
            self.info(&open, topic.to_owned(), true).await
        })
    }

    fn create<'a>(&'a self, topic: &'a str, settings: &'a TopicSettings) -> BoxFuture<'a, Result<bool, BrokerError>> {
        Box::pin(async move {
            names::check("topic", topic).map_err(BrokerError::give_up)?;
            check_settings(topic, settings)?;
            let own: Topic = settings.own.read()?;
            let open = self.0.publishing.get().await?;
            let is_new = match &own.exchange {
                Some(name) => {
                    Exchange { name: name.clone(), kind: own.exchange_type, durable: own.durable }.declare(&open, Declare::Create).await?;
                    !self.0.topics().iter().any(|known| known == topic)
                }
                None => {
                    names::check_topic(topic).map_err(BrokerError::give_up)?;
                    let is_new = look(&open, topic).await?.is_none();
                    open.is_gone(topic);
                    Queue::shared(topic.to_owned(), &own).declare(&open, Declare::Create).await?;
                    open.until_kept([topic]).await;
                    is_new
                }
            };
            self.0.keep_topic(topic, own);
            Ok(is_new)
        })
    }

    fn delete<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<bool, BrokerError>> {
        Box::pin(async move {
            let open = self.0.publishing.get().await?;
            if self.0.topic(topic).exchange.is_some() {
                let what =
                    "is on an exchange, which other topics may share: remove exchange and queues with `rabbitmqctl` or `rabbitmqadmin`";
                return Err(BrokerError::give_up(format!("topic {topic:?} {what}")));
            }
            let was_there = look(&open, topic).await?.is_some();
            if was_there {
                delete(&open, topic).await?;
            }
            for (name, _) in waits(&open, topic, true).await? {
                delete(&open, &name).await?;
            }
            Ok(was_there)
        })
    }

    fn purge<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Option<u64>, BrokerError>> {
        Box::pin(async move {
            let open = self.0.publishing.get().await?;
            let homes = self.0.homes(topic);
            let mut gone = None;
            if self.0.topic(topic).exchange.is_none() && look(&open, topic).await?.is_some() {
                gone = Some(empty(&open, topic).await?);
            }
            for home in &homes {
                // A queue that belongs to one connection is emptied over that one.
                *gone.get_or_insert(0) += empty(&home.open, &home.queue.name).await?;
            }
            if gone.is_none() {
                // Delayed messages may wait for a queue that is not there yet.
                gone = waits(&open, topic, true).await?.first().map(|_| 0);
                empty_waits(&open, topic).await?;
            }
            homes.iter().for_each(|home| home.purged.send_modify(|count| *count += 1));
            Ok(gone)
        })
    }

    fn browse<'a>(&'a self, topic: &'a str, _page: Page) -> BoxFuture<'a, Result<Batch, BrokerError>> {
        Box::pin(async move {
            let how = "RabbitMQ gives out messages and takes them back, it cannot show them: consume them with a group, or look with \"Get \
                       messages\" of its management page";
            Err(BrokerError::give_up(format!("topic {topic:?} cannot be browsed: {how}")))
        })
    }

    fn wait_for<'a>(&'a self, _topic: &'a str, _after: u64) -> BoxFuture<'a, Result<(), BrokerError>> {
        // Nobody can browse either.
        Box::pin(std::future::pending())
    }
}

impl Catalog {
    /// A topic that is there. `all`: what waits in queues that this process has not declared counts too.
    async fn info(&self, open: &Open, name: String, all: bool) -> Result<Option<TopicInfo>, BrokerError> {
        let has_exchange = self.0.topic(&name).exchange.is_some();
        let there = if has_exchange { Some((0, 0)) } else { look(open, &name).await? };
        let Some((messages, _)) = there else { return Ok(None) };
        let delayed = waits(open, &name, all).await?.iter().map(|(_, messages)| messages).sum();
        let groups = self.0.groups().iter().filter(|(topic, _, _)| *topic == name).count() as u64;
        Ok(Some(TopicInfo { name, messages, bytes: None, delayed, positions: None, groups }))
    }
}

/// Refuses what RabbitMQ cannot do for a topic. Messages go once their group has finished them, asked for or not.
pub(super) fn check_settings(topic: &str, settings: &TopicSettings) -> Result<(), BrokerError> {
    let refused = |key: &str, other: &str| BrokerError::give_up(format!("topic {topic:?}: RabbitMQ has no `{key}`: write `{other}`"));
    if settings.retention.is_some() {
        return Err(refused("retention", "message-ttl"));
    }
    if settings.max_size.is_some() {
        return Err(refused("max-size", "max-length"));
    }
    Ok(())
}

/// The queues in which messages wait for `queue`, and how many wait: of those that were used over this connection, or of all. To look for one
/// that is not there leaves a line in the server's log, so what is done often looks for no others.
pub(super) async fn waits(open: &Open, queue: &str, all: bool) -> Result<Vec<(String, u64)>, BrokerError> {
    let names = Tier::all().map(|tier| tier.queue(queue)).filter(|name| all || open.has_declared(name));
    let looks = names.map(|name| async move { Ok::<_, BrokerError>(look(open, &name).await?.map(|(messages, _)| (name, messages))) });
    Ok(futures::future::try_join_all(looks).await?.into_iter().flatten().collect())
}

/// Empties a queue and what waits for it; answers how many messages were in the queue itself.
async fn empty(open: &Open, queue: &str) -> Result<u64, BrokerError> {
    let gone = purge(open, queue).await?;
    empty_waits(open, queue).await?;
    Ok(gone)
}

async fn empty_waits(open: &Open, queue: &str) -> Result<(), BrokerError> {
    for (name, _) in waits(open, queue, true).await? {
        purge(open, &name).await?;
    }
    Ok(())
}

async fn purge(open: &Open, queue: &str) -> Result<u64, BrokerError> {
    let channel = open.channel().await?;
    let purged = open.within(channel.queue_purge(short(queue)?, QueuePurgeOptions::default())).await;
    let count = purged.map_err(|e| trouble::told(&format!("emptying queue {queue:?}"), &e))?;
    close(open, channel).await;
    Ok(u64::from(count))
}

async fn delete(open: &Open, queue: &str) -> Result<(), BrokerError> {
    let channel = open.channel().await?;
    let deleted = open.within(channel.queue_delete(short(queue)?, QueueDeleteOptions::default())).await;
    deleted.map_err(|e| trouble::told(&format!("deleting queue {queue:?}"), &e))?;
    open.is_gone(queue);
    close(open, channel).await;
    Ok(())
}
