//! Where groups stand on topics, as they committed it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::BrokerError;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::book::progress_of;
use super::broker::{Broker, blocking};
use super::dead::REMOVED;
use super::names::is_retries;
use super::progress::Progress;
use super::{reading, trouble};

/// Between two questions for a group that nobody keeps yet.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// What a group committed of the partitions of a topic.
pub(super) type Stands = BTreeMap<i32, Progress>;

impl Broker {
    /// Where a group stands on these topics, which are given with their partitions; without those of which it has committed nothing. Blocks.
    pub(super) fn stands(&self, group: &str, topics: &[(String, i32)]) -> Result<BTreeMap<String, Stands>, BrokerError> {
        let mut list = TopicPartitionList::new();
        let all = topics.iter().flat_map(|(topic, count)| (0..*count).map(move |partition| (topic, partition)));
        all.clone().for_each(|(topic, partition)| {
            list.add_partition(topic, partition);
        });
        let mut stands: BTreeMap<String, Stands> = BTreeMap::new();
        if list.count() == 0 {
            return Ok(stands);
        }
        let found = self.committed(group, &list)?;
        for (topic, partition) in all {
            if let Some((offset, note)) = reading::stands(&found, topic, partition) {
                stands.entry(topic.clone()).or_default().insert(partition, progress_of(topic, partition, offset, &note));
            }
        }
        Ok(stands)
    }

    fn committed(&self, group: &str, list: &TopicPartitionList) -> Result<TopicPartitionList, BrokerError> {
        let reader = self.reader(group, false)?;
        let found = reading::committed(self, &reader, list, trouble::is_moving);
        found.map_err(|error| trouble::told(&format!("offsets of group {group:?}"), &error))
    }

    /// The groups that read with offsets, but for ours. Blocks.
    pub(super) fn group_names(&self) -> Result<Vec<String>, BrokerError> {
        let list = self.group_list(None)?;
        let theirs = list.groups().iter().filter(|group| group.protocol_type() == "consumer" || group.protocol_type().is_empty());
        Ok(theirs.map(|group| group.name().to_owned()).filter(|name| name != REMOVED && !name.is_empty()).collect())
    }

    /// How many messages of a partition are left, given what is finished. Blocks.
    pub(super) fn left(&self, topic: &str, partition: i32, progress: Option<&Progress>) -> Result<u64, BrokerError> {
        let (low, high) = self.watermarks(topic, partition)?;
        let from = progress.map_or(low, |progress| progress.mark().clamp(low, high));
        let finished = progress.map_or(0, |progress| {
            let ends = |(start, end): (u64, u64)| (end.min(high.cast_unsigned().saturating_sub(1)) + 1).saturating_sub(start);
            progress.inherited().iter().filter(|(start, _)| *start < high.cast_unsigned()).map(ends).sum::<u64>()
        });
        Ok((high - from).cast_unsigned().saturating_sub(finished))
    }

    /// Has the members in this process commit what they settled, and waits for those that leave.
    pub(super) async fn catch_up(self: &Arc<Self>) -> Result<(), BrokerError> {
        self.departures.settled().await;
        let this = Arc::clone(self);
        blocking(move || {
            let members = this.departures.members();
            members.iter().try_for_each(|member| member.commit_now(&member.cells()))
        })
        .await
    }

    /// The topics of all retries of a topic, with their partitions. Blocks.
    pub(super) fn retry_topics(&self, topic: &str, groups: &[String]) -> Result<Vec<(String, i32)>, BrokerError> {
        let of_topic = |name: &str| {
            let rest = name.strip_prefix(topic).and_then(|rest| rest.strip_prefix('.'));
            rest.and_then(|rest| rest.rsplit_once(".retry.")).is_some_and(|(group, _)| groups.iter().any(|known| known == group))
        };
        Ok(self.all_topics()?.into_iter().filter(|(name, _)| is_retries(name) && of_topic(name)).collect())
    }
}
