//! Topics, for a person to read and change. Those of retries belong to a topic, and are not told of.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Batch, BoxFuture, BrokerError, Page, TopicInfo, TopicSettings, Topics};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::broker::{Broker, blocking};
use super::browse;
use super::dead::Removed;
use super::making::of_removing;
use super::names::{check_topic, is_retries};
use super::place::Place;

/// Between two looks for messages.
const LOOK: Duration = Duration::from_millis(100);

/// The role of topics.
pub(super) struct Catalog(pub(super) Arc<Broker>);

type Answer<'a, T> = BoxFuture<'a, Result<T, BrokerError>>;

impl Topics for Catalog {
    fn list(&self) -> Answer<'_, Vec<TopicInfo>> {
        let broker = Arc::clone(&self.0);
        Box::pin(blocking(move || list(&broker)))
    }

    fn create<'a>(&'a self, topic: &'a str, settings: &'a TopicSettings) -> Answer<'a, bool> {
        Box::pin(async move {
            check_topic(topic).map_err(BrokerError::give_up)?;
            self.0.make_or_change(topic, settings).await
        })
    }

    fn delete<'a>(&'a self, topic: &'a str) -> Answer<'a, bool> {
        Box::pin(async move {
            if self.0.look(topic).await?.is_none() {
                return Ok(false);
            }
            for (name, _) in self.retry_topics(topic).await? {
                self.0.unmake(&name).await?;
            }
            let removed = self.0.unmake(topic).await?;
            // Gone for everybody, not only for whoever was asked.
            let until = Instant::now() + self.0.patience();
            while self.0.look(topic).await?.is_some() {
                if Instant::now() > until {
                    let who = "somebody makes it anew, such as a host that reads or writes it with declare = \"create\": stop that first";
                    return Err(BrokerError::retry(format!("topic {topic:?} was deleted and is there again: {who}")));
                }
                tokio::time::sleep(LOOK).await;
            }
            Ok(removed)
        })
    }

    fn purge<'a>(&'a self, topic: &'a str) -> Answer<'a, Option<u64>> {
        Box::pin(async move {
            let Some(count) = self.0.look(topic).await? else { return Ok(None) };
            let mut purged = vec![(topic.to_owned(), count)];
            purged.extend(self.retry_topics(topic).await?);
            let (broker, name) = (Arc::clone(&self.0), topic.to_owned());
            let (list, there) = blocking(move || ends(&broker, &name, count, &purged)).await?;
            let removed = self.0.admin.delete_records(&list, &self.0.admin_options()).await;
            let removed = removed.map_err(|error| of_removing(topic, &error))?;
            removed.elements().iter().try_for_each(|entry| entry.error().map_err(|error| of_removing(entry.topic(), &error)))?;
            Ok(Some(there))
        })
    }

    fn browse<'a>(&'a self, topic: &'a str, page: Page) -> Answer<'a, Batch> {
        let (broker, topic) = (Arc::clone(&self.0), topic.to_owned());
        Box::pin(blocking(move || browse::page(&broker, &topic, page)))
    }

    fn wait_for<'a>(&'a self, topic: &'a str, after: u64) -> Answer<'a, ()> {
        Box::pin(async move {
            loop {
                let (broker, topic) = (Arc::clone(&self.0), topic.to_owned());
                if blocking(move || browse::is_more(&broker, &topic, after)).await? {
                    return Ok(());
                }
                tokio::time::sleep(LOOK).await;
            }
        })
    }
}

impl Catalog {
    async fn retry_topics(&self, topic: &str) -> Result<Vec<(String, i32)>, BrokerError> {
        let (broker, topic) = (Arc::clone(&self.0), topic.to_owned());
        blocking(move || broker.retry_topics(&topic, &broker.group_names()?)).await
    }
}

fn list(broker: &Arc<Broker>) -> Result<Vec<TopicInfo>, BrokerError> {
    let mut topics = broker.all_topics()?;
    topics.retain(|(topic, count)| *count > 0 && !is_retries(topic));
    let mut readers: Vec<String> = Vec::new();
    for group in broker.group_names()? {
        readers.extend(broker.stands(&group, &topics)?.into_keys());
    }
    let removed = broker.stands(super::dead::REMOVED, &topics)?;
    let mut infos = Vec::new();
    for (topic, count) in topics {
        let (mut messages, mut first, mut last) = (0, None, None);
        for partition in 0..count {
            let (low, high) = broker.watermarks(&topic, partition)?;
            if high > low {
                first.get_or_insert(Place::new(partition, low).position());
                last = Some(Place::new(partition, high - 1).position());
            }
            messages += broker.left(&topic, partition, removed.get(&topic).and_then(|removed| removed.get(&partition)))?;
        }
        let groups = readers.iter().filter(|read| **read == topic).count() as u64;
        infos.push(TopicInfo { name: topic, messages, bytes: None, delayed: 0, positions: first.zip(last), groups });
    }
    infos.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(infos)
}

/// The ends of all partitions, and how many messages there are of the topic itself.
fn ends(broker: &Arc<Broker>, topic: &str, count: i32, purged: &[(String, i32)]) -> Result<(TopicPartitionList, u64), BrokerError> {
    let (removed, mut list, mut there) = (Removed::of(broker, topic, count)?, TopicPartitionList::new(), 0);
    for (name, partitions) in purged {
        for partition in 0..*partitions {
            let (_, high) = broker.watermarks(name, partition)?;
            let _ = list.add_partition_offset(name, partition, Offset::Offset(high));
            if name == topic {
                there += broker.left(name, partition, removed.progress(partition))?;
            }
        }
    }
    Ok((list, there))
}
