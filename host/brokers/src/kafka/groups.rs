//! Groups, for a person to read and move.

use std::sync::Arc;

use longshore_core::{BoxFuture, BrokerError, GroupInfo, Groups, SeekTo};
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::groups::{GroupInfo as Found, GroupMemberInfo};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::broker::{Broker, blocking};
use super::names::is_retries;
use super::place::Place;
use super::{assigned, trouble};

/// The role of groups.
pub(super) struct Grouping(pub(super) Arc<Broker>);

impl Groups for Grouping {
    fn list(&self) -> BoxFuture<'_, Result<Vec<GroupInfo>, BrokerError>> {
        Box::pin(async move {
            self.0.catch_up().await?;
            let broker = Arc::clone(&self.0);
            blocking(move || list(&broker)).await
        })
    }

    fn seek<'a>(&'a self, group: &'a str, topic: &'a str, to: SeekTo) -> BoxFuture<'a, Result<Option<u64>, BrokerError>> {
        Box::pin(async move {
            self.0.departures.settled().await;
            let (broker, group, topic) = (Arc::clone(&self.0), group.to_owned(), topic.to_owned());
            blocking(move || seek(&broker, &group, &topic, to)).await
        })
    }
}

fn list(broker: &Broker) -> Result<Vec<GroupInfo>, BrokerError> {
    let (topics, mut infos) = (broker.all_topics()?, Vec::new());
    for group in broker.group_names()? {
        let described = broker.group_list(Some(&group))?;
        let Some(found) = described.groups().first() else { continue };
        let stands = broker.stands(&group, &topics)?;
        for (topic, of_topic) in stands.iter().filter(|(topic, _)| !is_retries(topic)) {
            let (mut lag, mut retries) = (0, 0);
            for (partition, progress) in of_topic {
                lag += broker.left(topic, *partition, Some(progress))?;
            }
            let own = |name: &str| super::names::Tier::all().any(|tier| tier.topic(topic, &group) == name);
            for (name, partitions) in topics.iter().filter(|(name, _)| is_retries(name) && own(name)) {
                for partition in 0..*partitions {
                    retries += broker.left(name, partition, stands.get(name).and_then(|stands| stands.get(&partition)))?;
                }
            }
            let consumers = members(found, topic);
            infos.push(GroupInfo {
                group: group.clone(),
                topic: topic.clone(),
                position: of_topic.values().map(|progress| progress.mark().cast_unsigned()).sum(),
                lag: Some(lag),
                retries,
                members: consumers.len() as u64,
                consumers,
                created_at: None,
            });
        }
    }
    infos.sort_by(|a, b| (&a.topic, &a.group).cmp(&(&b.topic, &b.group)));
    Ok(infos)
}

/// Members that subscribe to a topic.
fn members(group: &Found, topic: &str) -> Vec<String> {
    let reads =
        |member: &&GroupMemberInfo| member.metadata().and_then(assigned::topics).is_none_or(|topics| topics.iter().any(|t| t == topic));
    group.members().iter().filter(reads).map(|member| member.id().to_owned()).collect()
}

fn seek(broker: &Broker, group: &str, topic: &str, to: SeekTo) -> Result<Option<u64>, BrokerError> {
    let Some(count) = broker.partitions(topic)? else { return Ok(None) };
    let topics = [(topic.to_owned(), count)];
    let Some(mut stands) = broker.stands(group, &topics)?.remove(topic) else { return Ok(None) };
    if broker.group_list(Some(group))?.groups().iter().any(|found| !found.members().is_empty()) {
        let what = format!("group {group:?} is reading topic {topic:?} now; pause its handler, on every host, before it is moved");
        return Err(BrokerError::give_up(what));
    }
    let only = match to {
        SeekTo::Position(position) => {
            let place = Place::of(position.max(1)).filter(|place| place.partition < count);
            Some(place.ok_or_else(|| BrokerError::give_up(format!("topic {topic:?} has no position {position}")))?)
        }
        _ => None,
    };
    let mut list = TopicPartitionList::new();
    for partition in (0..count).filter(|partition| only.is_none_or(|place| place.partition == *partition)) {
        let (low, high) = broker.watermarks(topic, partition)?;
        let offset = match (to, only) {
            (SeekTo::Beginning, _) => low,
            (SeekTo::Time(millis), _) => broker.offset_at(topic, partition, millis)?.unwrap_or(high),
            (SeekTo::Position(_), Some(place)) => place.offset.clamp(low, high),
            (SeekTo::End | SeekTo::Position(_), _) => high,
        };
        let _ = list.add_partition_offset(topic, partition, Offset::Offset(offset));
        stands.insert(partition, super::progress::Progress::new(offset, longshore_core::Ranges::default(), Vec::new()));
    }
    // Its retries go.
    for (name, partitions) in broker.retry_topics(topic, &[group.to_owned()])? {
        for partition in (0..partitions).filter(|partition| only.is_none_or(|place| place.partition == *partition)) {
            let _ = list.add_partition_offset(&name, partition, Offset::Offset(broker.watermarks(&name, partition)?.1));
        }
    }
    let committed = broker.reader(group, false)?.commit(&list, CommitMode::Sync);
    committed.map_err(|error| trouble::told(&format!("moving group {group:?} on topic {topic:?}"), &error))?;
    Ok(Some(stands.values().map(|progress| progress.mark().cast_unsigned()).sum()))
}
