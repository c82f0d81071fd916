//! Where a group begins that has no position yet.

use std::collections::BTreeSet;

use longshore_core::{BrokerError, Start};
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::member::{Membership, lock};
use super::trouble;

/// Fixes where all partitions of topics begin of which the group has committed nothing, before anybody is a member of it: else two hosts that
/// begin at once could not tell what was there from what came. Where somebody is there already, the brokers refuse, and rightly. Blocks.
pub(super) fn fix(member: &Membership, topics: &BTreeSet<String>) -> Result<(), BrokerError> {
    if matches!(member.wish.start, Start::Earliest | Start::None) {
        return Ok(());
    }
    let mut counted = Vec::new();
    for topic in topics {
        counted.extend(member.broker.partitions(topic)?.map(|count| (topic.clone(), count)));
    }
    let stands = member.broker.stands(&member.group, &counted)?;
    let mut list = TopicPartitionList::new();
    for (topic, count) in counted.iter().filter(|(topic, _)| !stands.contains_key(topic)) {
        for partition in 0..*count {
            let ends = member.broker.watermarks(topic, partition)?;
            let _ = list.add_partition_offset(topic, partition, Offset::Offset(wished(member, topic, partition, ends)?));
        }
    }
    if list.count() > 0
        && let Err(error) = member.broker.reader(&member.group, false)?.commit(&list, CommitMode::Sync)
    {
        tracing::debug!(group = %member.group, "somebody else is there: {error}");
    }
    Ok(())
}

/// Where a partition begins of which the group has committed nothing, though it has members. `ends` are its oldest message and what comes
/// behind the newest. Blocks.
pub(super) fn of(member: &Membership, topic: &str, partition: i32, ends: (i64, i64)) -> Result<i64, BrokerError> {
    // What was added while the group was there is read from its beginning: nothing of it was there before the group.
    let new_topic = member.wish.start != Start::None && !lock(&member.first_topics).contains(topic);
    if new_topic || has_committed(member, topic)? {
        return Ok(ends.0);
    }
    wished(member, topic, partition, ends)
}

fn wished(member: &Membership, topic: &str, partition: i32, (low, high): (i64, i64)) -> Result<i64, BrokerError> {
    match &member.wish.start {
        Start::Earliest => Ok(low),
        Start::Latest => Ok(high),
        Start::None => {
            let what = format!("group {:?} has no position on partition {partition} of topic {topic:?}", member.group);
            Err(BrokerError::give_up(format!("{what}, and `start` says \"none\"; write \"earliest\" or \"latest\"")))
        }
        Start::Time(millis) => Ok(member.broker.offset_at(topic, partition, *millis)?.unwrap_or(high).clamp(low, high)),
        Start::Position(text) => {
            let offset = text.parse::<i64>().ok().filter(|offset| *offset >= 0);
            let wrong = || BrokerError::give_up(format!("start: {text:?} is no offset; write a number, which goes for each partition"));
            Ok(offset.ok_or_else(wrong)?.clamp(low, high))
        }
    }
}

/// Whether the group has committed anything of that topic.
fn has_committed(member: &Membership, topic: &str) -> Result<bool, BrokerError> {
    let (Some(consumer), Some(count)) = (member.consumer(), member.broker.partitions(topic)?) else { return Ok(false) };
    let mut list = TopicPartitionList::new();
    (0..count).for_each(|partition| {
        list.add_partition(topic, partition);
    });
    let found = consumer.committed_offsets(list, member.broker.patience());
    let found = found.map_err(|error| trouble::told(&format!("offsets of group {:?}", member.group), &error))?;
    Ok(found.elements().iter().any(|entry| matches!(entry.offset(), Offset::Offset(_))))
}
