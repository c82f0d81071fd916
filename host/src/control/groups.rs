//! Groups.

use std::collections::HashMap;
use std::time::UNIX_EPOCH;

use longshore_admin::ControlError;
use longshore_admin::control::{Answer, GroupControl};
use longshore_admin::model::{Group, SeekGroup, Sought};
use longshore_core::{GroupInfo, SeekTo};

use super::HostControl;
use super::asked::Asked;

/// Messages that are read to count the dead letters of a list of groups.
const MOST: u64 = 10_000;

impl GroupControl for HostControl {
    fn groups<'a>(&'a self, broker: Option<&'a str>) -> Answer<'a, Vec<Group>> {
        Box::pin(self.list_groups(broker, MOST))
    }

    fn group<'a>(&'a self, broker: Option<&'a str>, name: &'a str) -> Answer<'a, Vec<Group>> {
        Box::pin(async move {
            let mut groups = self.list_groups(broker, u64::MAX).await?;
            groups.retain(|g| g.group == name);
            match groups.is_empty() {
                false => Ok(groups),
                true => Err(missing(self.broker(broker)?, name, "any topic")),
            }
        })
    }

    fn seek(&self, seek: SeekGroup) -> Answer<'_, Sought> {
        Box::pin(async move {
            let broker = self.broker(seek.broker.as_deref())?;
            let to = target(&seek.to)?;
            let position = broker.groups()?.seek(&seek.group, &seek.topic, to).await.map_err(|e| broker.told(e))?;
            position.map(|position| Sought { position }).ok_or_else(|| missing(broker, &seek.group, &seek.topic))
        })
    }
}

impl HostControl {
    /// All groups; their dead letters are counted where not more than `most` messages have to be read for it.
    async fn list_groups(&self, broker: Option<&str>, most: u64) -> Result<Vec<Group>, ControlError> {
        let broker = self.broker(broker)?;
        let groups = broker.groups()?;
        let mut list = groups.list().await.map_err(|e| broker.told(e))?;
        for asked in self.subscriptions.iter().filter_map(|s| s.asked_of(&broker.config.name)) {
            let found = groups.look(&asked).await.map_err(|e| broker.told(e))?;
            let is_new = |info: &GroupInfo| !list.iter().any(|known| known.topic == info.topic && known.group == info.group);
            let new: Vec<GroupInfo> = found.into_iter().filter(is_new).collect();
            list.extend(new);
        }
        list.sort_by(|a, b| (&a.topic, &a.group).cmp(&(&b.topic, &b.group)));
        let dead = self.dead_by_group(broker, most).await.ok().flatten();
        Ok(list.into_iter().map(|info| group(broker, info, dead.as_ref())).collect())
    }
}

fn missing(broker: &Asked, group: &str, topic: &str) -> ControlError {
    let name = &broker.config.name;
    ControlError::not_found(format!("broker {name:?} has no group {group:?} on {topic}; `longshore groups list` shows what it has"))
}

/// Topic and group, and how many dead letters they have.
pub(super) type DeadByGroup = HashMap<(String, String), u64>;

fn group(broker: &Asked, info: GroupInfo, dead: Option<&DeadByGroup>) -> Group {
    let key = (info.topic, info.group);
    let dead_letters = dead.map(|dead| dead.get(&key).copied().unwrap_or(0));
    let (topic, group) = key;
    Group {
        group,
        broker: broker.config.name.clone(),
        topic,
        position: info.position,
        lag: info.lag,
        retries: info.retries,
        members: info.members,
        consumers: info.consumers,
        dead_letters,
        created_at: info.created_at,
    }
}

/// Where to move a group, from its text.
fn target(text: &str) -> Result<SeekTo, ControlError> {
    match text {
        "beginning" => return Ok(SeekTo::Beginning),
        "end" => return Ok(SeekTo::End),
        _ => {}
    }
    if let Ok(position) = text.parse() {
        return Ok(SeekTo::Position(position));
    }
    let time = humantime::parse_rfc3339(text).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    match time.and_then(|since| u64::try_from(since.as_millis()).ok()) {
        Some(millis) => Ok(SeekTo::Time(millis)),
        None => {
            let forms = "beginning, end, a position, or a time such as 2026-01-31T08:00:00Z";
            Err(ControlError::invalid(format!("cannot seek to {text:?}: write {forms}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_positions_and_times_are_told_apart() {
        assert_eq!(target("beginning"), Ok(SeekTo::Beginning));
        assert_eq!(target("end"), Ok(SeekTo::End));
        assert_eq!(target("17"), Ok(SeekTo::Position(17)));
        assert_eq!(target("1970-01-01T00:00:01Z"), Ok(SeekTo::Time(1000)));
        assert!(target("yesterday").is_err());
    }
}
