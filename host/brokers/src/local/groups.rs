//! Administration of groups: list them, move one.

use longshore_core::{BrokerError, GroupInfo, SeekTo};

use super::broker::Broker;
use super::tables::{LaneRecord, Tables};

type Result<T> = std::result::Result<T, BrokerError>;

impl<T: Tables> Broker<T> {
    /// All groups, by topic and name. Members are the caller's to count.
    pub(super) fn list_groups(&self) -> Result<Vec<GroupInfo>> {
        let lanes = self.lanes.values().filter(|entry| entry.ephemeral.is_none());
        let mut infos = lanes.map(|entry| self.group_info(&entry.record)).collect::<Result<Vec<_>>>()?;
        infos.sort_by(|a, b| (&a.topic, &a.group).cmp(&(&b.topic, &b.group)));
        Ok(infos)
    }

    fn group_info(&self, lane: &LaneRecord) -> Result<GroupInfo> {
        Ok(GroupInfo {
            group: lane.group.to_string(),
            topic: self.topics[&lane.topic].record.name.to_string(),
            position: lane.mark,
            lag: Some(self.lag(lane)?),
            retries: self.tables.count_retries(lane.id)?,
            members: 0,
            consumers: Vec::new(),
            created_at: Some(lane.created_at),
        })
    }

    /// Messages that were never finished. Counted one by one only where single messages were taken out of the log.
    fn lag(&self, lane: &LaneRecord) -> Result<u64> {
        let topic = &self.topics[&lane.topic].record;
        let oldest = self.tables.at_or_after(lane.topic, 0)?.map_or(topic.next, |(position, _)| position);
        let above = if topic.messages == topic.next - oldest {
            (topic.next - 1).saturating_sub(lane.mark.max(oldest - 1))
        } else {
            self.tables.count_above(lane.topic, lane.mark)?
        };
        let finished: u64 = lane.above.iter().map(|(from, to)| to.saturating_sub(from.max(oldest)) + u64::from(to >= oldest)).sum();
        Ok(above.saturating_sub(finished))
    }

    /// Moves a group; its retries go. Says where it stands then.
    pub(super) fn seek(&mut self, group: &str, topic: &str, to: SeekTo) -> Result<Option<u64>> {
        let Some(id) = self.names.get(topic).copied() else { return Ok(None) };
        let Some(lane) = self.lane_of(group, id) else { return Ok(None) };
        let end = self.topics[&id].record.next - 1;
        let mark = match to {
            SeekTo::Beginning => 0,
            SeekTo::End => end,
            SeekTo::Position(position) => position.saturating_sub(1).min(end),
            SeekTo::Time(time) => self.mark_before(id, time)?,
        };
        self.put_behind(lane, mark)?;
        Ok(Some(mark))
    }
}
