//! Administration of lists.

use std::sync::Arc;

use longshore_core::{Batch, BoxFuture, BrokerError, Page, TopicInfo, TopicSettings, Topics};
use redis::{RedisError, Value};

use super::keys::LaneKeys;
use super::roles::{Shared, check_settings};
use super::{decode, scripts};
use crate::redis::entry::{int, list, text};
use crate::redis::names::{QUEUE, beside, check_name};
use crate::redis::scan::{Kind, scan};

type Result<T> = std::result::Result<T, BrokerError>;

/// The topics role.
pub(super) struct ListTopics(pub(super) Arc<Shared>);

impl Topics for ListTopics {
    fn list(&self) -> BoxFuture<'_, Result<Vec<TopicInfo>>> {
        Box::pin(async move {
            let mut infos = Vec::new();
            for name in scan(&self.0.server, Kind::List, "*").await? {
                // One that became something else meanwhile is no list.
                let Some(counts) = Counts::of(&self.0, &name).await? else { continue };
                infos.push(TopicInfo {
                    name,
                    messages: counts.there,
                    bytes: None,
                    delayed: counts.delayed,
                    positions: counts.ends,
                    groups: u64::from(counts.group.is_some()),
                });
            }
            Ok(infos)
        })
    }

    fn create<'a>(&'a self, topic: &'a str, settings: &'a TopicSettings) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            check_name(topic).map_err(BrokerError::give_up)?;
            check_settings(topic, settings)?;
            let mut script = scripts::MAKE.prepare_invoke();
            script.key(topic).key(beside(topic, QUEUE));
            let made: u8 = self.0.server.call(topic, &script).await.map_err(|e| self.0.server.error(&e))?;
            Ok(made == 1)
        })
    }

    fn delete<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { Ok(self.empty(topic, true).await?.is_some()) })
    }

    fn purge<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(self.empty(topic, false))
    }

    fn browse<'a>(&'a self, topic: &'a str, page: Page) -> BoxFuture<'a, Result<Batch>> {
        Box::pin(async move {
            let (way, position, count) = match page {
                Page::After(position, count) => ("after", position, count),
                Page::Before(position, count) => ("before", position, count),
            };
            let mut script = scripts::BROWSE.prepare_invoke();
            script.key(topic).arg(way).arg(position).arg(count);
            let answer: Value = self.0.server.call(topic, &script).await.map_err(|e| self.0.server.error(&e))?;
            let mut batch = Batch::default();
            decode::page(topic, &answer, &mut batch);
            Ok(batch)
        })
    }

    fn wait_for<'a>(&'a self, _: &'a str, _: u64) -> BoxFuture<'a, Result<()>> {
        // Whoever waits at a list takes from it: nobody can be told without.
        Box::pin(std::future::pending())
    }
}

impl ListTopics {
    async fn empty(&self, topic: &str, removed: bool) -> Result<Option<u64>> {
        let mut script = LaneKeys::of_queue(topic).invoke(&scripts::PURGE);
        let count: std::result::Result<i64, RedisError> = self.0.server.call(topic, script.arg(u8::from(removed))).await;
        Ok(u64::try_from(count.map_err(|e| self.0.server.error(&e))?).ok())
    }
}

/// What a queue has.
pub(super) struct Counts {
    /// Messages that nobody has.
    pub(super) there: u64,
    /// Messages that consumers have.
    pub(super) taken: u64,
    /// Messages that wait for a retry.
    pub(super) retries: u64,
    /// Messages that are delayed.
    pub(super) delayed: u64,
    /// Consumers that are there, by name.
    pub(super) members: Vec<String>,
    /// Who reads it, or did last.
    pub(super) group: Option<String>,
    /// Numbers of the oldest and of the newest message, where the host published both.
    pub(super) ends: Option<(u64, u64)>,
}

impl Counts {
    /// Counts. `None`: it is no list.
    pub(super) async fn of(shared: &Shared, topic: &str) -> Result<Option<Self>> {
        let script = LaneKeys::of_queue(topic).invoke(&scripts::COUNT);
        let answer: Value = shared.server.call(topic, &script).await.map_err(|e| shared.server.error(&e))?;
        let [there, taken, retries, delayed, members, group, oldest, newest] = list(&answer) else { return Ok(None) };
        let number = |value: &Value| int(value).unwrap_or(0);
        Ok(Some(Counts {
            there: number(there),
            taken: number(taken),
            retries: number(retries),
            delayed: number(delayed),
            members: list(members).iter().filter_map(text).map(str::to_owned).collect(),
            group: text(group).filter(|group| !group.is_empty()).map(str::to_owned),
            ends: int(oldest).zip(int(newest)),
        }))
    }
}
