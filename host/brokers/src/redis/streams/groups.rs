//! Administration of groups.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{BoxFuture, BrokerError, GroupInfo, Groups, SeekTo};
use redis::Value;

use super::keys::{BROADCAST, DUE, ERA, KEPT, LaneKeys, RETURNED};
use super::scripts;
use super::topics::field;
use crate::redis::entry::{int, list, text};
use crate::redis::names::{REMEMBER, of_group};
use crate::redis::position::EntryId;
use crate::redis::scan::{Kind, scan};
use crate::redis::server::Server;

type Result<T> = std::result::Result<T, BrokerError>;

/// The groups role.
pub(super) struct StreamGroups {
    pub(super) server: Arc<Server>,
    pub(super) lease: Duration,
}

impl Groups for StreamGroups {
    fn list(&self) -> BoxFuture<'_, Result<Vec<GroupInfo>>> {
        Box::pin(async move {
            let mut infos = Vec::new();
            for topic in scan(&self.server, Kind::Stream, "*").await? {
                let groups: Value = match self.server.try_run(&topic, redis::cmd("XINFO").arg("GROUPS").arg(&topic)).await {
                    Ok(groups) => groups,
                    Err(error) if error.to_string().contains("no such key") => continue,
                    Err(error) => return Err(self.server.error(&error)),
                };
                let stream: Value = self.server.run(&topic, redis::cmd("XINFO").arg("STREAM").arg(&topic)).await?;
                let last = field(&stream, "last-generated-id").and_then(text).unwrap_or_default();
                for group in list(&groups) {
                    let name = field(group, "name").and_then(text).unwrap_or_default();
                    if !name.starts_with(BROADCAST) {
                        infos.push(self.info(&topic, name, last, group).await?);
                    }
                }
            }
            infos.sort_by(|a, b| (&a.topic, &a.group).cmp(&(&b.topic, &b.group)));
            Ok(infos)
        })
    }

    fn seek<'a>(&'a self, group: &'a str, topic: &'a str, to: SeekTo) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(async move {
            let id = match to {
                SeekTo::Beginning => "0".into(),
                SeekTo::End => "$".into(),
                SeekTo::Position(position) => EntryId::at(position).before().to_string(),
                SeekTo::Time(millis) => EntryId { millis, number: 0 }.before().to_string(),
            };
            let keys = LaneKeys::new(topic, group, "", false, self.lease);
            let mut script = keys.invoke(&scripts::SEEK);
            script.key(super::super::names::beside(topic, ERA));
            script.arg(group).arg(id).arg(keys.lease_millis()).arg(REMEMBER);
            let stands: Option<String> = self.server.call(topic, &script).await.map_err(|e| self.refused(group, topic, &e))?;
            Ok(stands.and_then(|id| EntryId::parse(&id)).map(|id| id.position().0))
        })
    }
}

/// What is kept of a group: how many entries are told as lost, where it stood at the last look, and how many it had read then.
type Kept = (Option<u64>, Option<String>, Option<String>);

/// How many entries a group has still to read of a stream whose last is `last`.
fn unread(last: &str, group: &Value, (lost, at, read): &Kept) -> Option<u64> {
    let (here, number) = (field(group, "last-delivered-id").and_then(text)?, |name| field(group, name).and_then(int));
    if here == last {
        return Some(0);
    }
    // A server that started again or took over does not know how many were read since the last look, see `count.lua`.
    let counted = number("entries-read").map(|read| read.to_string()).unwrap_or_default();
    if at.as_deref().is_some_and(|at| at != here) && read.as_deref() == Some(&counted) {
        return None;
    }
    // The server goes on counting what was trimmed unread.
    number("lag").map(|lag| lag.saturating_sub(lost.unwrap_or(0)))
}

impl StreamGroups {
    async fn info(&self, topic: &str, name: &str, last: &str, group: &Value) -> Result<GroupInfo> {
        let number = |name: &str| field(group, name).and_then(int);
        let pending: Value = self.server.run(topic, redis::cmd("XPENDING").arg(topic).arg(name)).await?;
        let consumers: Value = self.server.run(topic, redis::cmd("XINFO").arg("CONSUMERS").arg(topic).arg(name)).await?;
        let here = list(&consumers).iter().filter(|consumer| self.is_here(consumer));
        let here: Vec<String> = here.filter_map(|consumer| field(consumer, "name").and_then(text).map(str::to_owned)).collect();
        let lowest = list(&pending).get(1).and_then(|id| EntryId::parse(text(id)?)).map(EntryId::before);
        let delivered = field(group, "last-delivered-id").and_then(|id| EntryId::parse(text(id)?));
        let held = number("pending").unwrap_or(0);
        let retries = self.server.run(topic, redis::cmd("ZCARD").arg(of_group(topic, DUE, name))).await?;
        let kept = of_group(topic, KEPT, name);
        let told: Kept = self.server.run(topic, redis::cmd("HMGET").arg(kept).arg("lost").arg("at").arg("read")).await?;
        Ok(GroupInfo {
            group: name.into(),
            topic: topic.into(),
            position: lowest.or(delivered).map_or(0, |id| id.position().0),
            lag: unread(last, group, &told).map(|unread| unread + held + retries),
            retries,
            members: here.len() as u64,
            consumers: here,
            created_at: None,
        })
    }

    /// Whether a consumer was seen within the lease.
    fn is_here(&self, consumer: &Value) -> bool {
        let idle = field(consumer, "idle").and_then(int).unwrap_or(u64::MAX);
        field(consumer, "name").and_then(text) != Some(RETURNED) && u128::from(idle) < self.lease.as_millis()
    }

    fn refused(&self, group: &str, topic: &str, error: &redis::RedisError) -> BrokerError {
        if error.to_string().contains("INUSE") {
            return BrokerError::give_up(format!("group {group:?} reads topic {topic:?} now; stop its hosts first"));
        }
        self.server.error(error)
    }
}
