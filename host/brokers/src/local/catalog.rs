//! Administration of topics: list, make, change, remove, empty.

use longshore_core::{BrokerError, TopicInfo, TopicSettings};

use super::admit::check_name;
use super::broker::{Broker, Checked};
use super::tables::{LaneId, Tables, TopicId};

type Result<T> = std::result::Result<T, BrokerError>;

impl<T: Tables> Broker<T> {
    /// All topics, by name.
    pub(super) fn list_topics(&self) -> Result<Vec<TopicInfo>> {
        let mut infos = self.topics.keys().map(|id| self.topic_info(*id)).collect::<Result<Vec<_>>>()?;
        infos.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(infos)
    }

    fn topic_info(&self, id: TopicId) -> Result<TopicInfo> {
        let record = &self.topics[&id].record;
        let oldest = self.tables.at_or_after(id, 0)?.map(|(position, _)| position);
        let groups = self.lanes.values().filter(|e| e.record.topic == id && e.ephemeral.is_none()).count();
        Ok(TopicInfo {
            name: record.name.to_string(),
            messages: record.messages,
            bytes: Some(record.bytes),
            delayed: self.tables.count_delays(id)?,
            positions: oldest.map(|oldest| (oldest, record.next - 1)),
            groups: groups as u64,
        })
    }

    /// Makes a topic, or changes how it is kept. Says whether it is new.
    pub(super) fn create_topic(&mut self, name: &str, settings: &TopicSettings, now: u64) -> Result<Checked<bool>> {
        if let Err(what) = check_name(name) {
            return Ok(Err(BrokerError::give_up(what)));
        }
        let new = !self.names.contains_key(name);
        let id = self.topic_or_new(name, now)?;
        self.set(id, settings)?;
        Ok(Ok(new))
    }

    /// Applies what the configuration says of topics that exist already.
    pub(super) fn configure(&mut self) -> Result<()> {
        for (name, settings) in self.configured.clone() {
            if let Some(id) = self.names.get(name.as_str()) {
                self.set(*id, &settings)?;
            }
        }
        Ok(())
    }

    fn set(&mut self, id: TopicId, settings: &TopicSettings) -> Result<()> {
        let record = &mut self.topics.get_mut(&id).expect("the caller found it").record;
        if record.settings != *settings {
            record.settings.clone_from(settings);
            self.tables.put_topic(record)?;
        }
        Ok(())
    }

    /// Removes a topic with everything that hangs on it; its lanes are revoked. Says whether it was there.
    pub(super) fn delete_topic(&mut self, name: &str) -> Result<bool> {
        let Some(id) = self.names.remove(name) else { return Ok(false) };
        for lane in self.lanes_of(id) {
            self.lanes.remove(&lane);
            self.tables.drop_lane(lane)?;
        }
        self.tables.clear_delays(id)?;
        self.tables.drop_topic(id)?;
        self.topics.remove(&id);
        self.wake.catalog = true;
        self.wake.delayed = true;
        Ok(true)
    }

    /// Removes a topic's messages, also those that wait for a retry or for their time. Says how many were in its log. Its lanes are revoked:
    /// whoever has one waits for retries that will not come.
    pub(super) fn purge_topic(&mut self, name: &str) -> Result<Option<u64>> {
        let Some(id) = self.names.get(name).copied() else { return Ok(None) };
        let topic = self.topics.get_mut(&id).expect("names lead to topics");
        let (purged, mark) = (topic.record.messages, topic.record.next - 1);
        (topic.record.messages, topic.record.bytes, topic.looked_at) = (0, 0, 0);
        self.tables.clear(id)?;
        self.tables.put_topic(&topic.record)?;
        self.tables.clear_delays(id)?;
        for lane in self.lanes_of(id) {
            self.put_behind(lane, mark)?;
            self.wake.revoked.push(lane);
        }
        self.wake.delayed = true;
        Ok(Some(purged))
    }

    /// Puts a lane behind `mark`, with nothing open and nothing waiting.
    pub(super) fn put_behind(&mut self, lane: LaneId, mark: u64) -> Result<()> {
        self.tables.clear_retries(lane)?;
        self.tables.forget_crashes(lane, u64::MAX)?;
        let entry = self.lanes.get_mut(&lane).expect("the caller found it");
        entry.record.mark = mark;
        entry.record.above.clear();
        self.wake.lanes.push(lane);
        if entry.ephemeral.is_some() {
            return Ok(());
        }
        self.tables.put_lane(&entry.record)
    }

    pub(super) fn lanes_of(&self, topic: TopicId) -> Vec<LaneId> {
        self.lanes.values().filter(|entry| entry.record.topic == topic).map(|entry| entry.record.id).collect()
    }
}

/// A lane whose topic is no more.
pub(super) fn topic_gone() -> BrokerError {
    BrokerError::reconnect("the topic was removed")
}
