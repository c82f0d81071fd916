//! Administration of streams.

use std::sync::Arc;

use longshore_core::{Batch, BoxFuture, BrokerError, Page, TopicInfo, TopicSettings, Topics};
use redis::Value;

use super::keys::{BROADCAST, DUE, ERA, KEPT, LATER, LATER_KEPT};
use super::{decode, scripts};
use crate::redis::entry::{int, list, text};
use crate::redis::names::{REMEMBER, beside, check_name};
use crate::redis::position::EntryId;
use crate::redis::scan::{Kind, scan};
use crate::redis::server::Server;

type Result<T> = std::result::Result<T, BrokerError>;

/// The topics role.
pub(super) struct StreamTopics {
    pub(super) server: Arc<Server>,
    /// What `[topics]` says, which hosts see to.
    pub(super) configured: Vec<(String, TopicSettings)>,
}

impl Topics for StreamTopics {
    fn list(&self) -> BoxFuture<'_, Result<Vec<TopicInfo>>> {
        Box::pin(async move {
            let mut infos = Vec::new();
            for name in scan(&self.server, Kind::Stream, "*").await? {
                // One that went meanwhile is not there.
                if let Some(info) = self.info(name).await? {
                    infos.push(info);
                }
            }
            Ok(infos)
        })
    }

    fn create<'a>(&'a self, topic: &'a str, settings: &'a TopicSettings) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            check_name(topic).map_err(BrokerError::give_up)?;
            let is_configured = self.configured.iter().any(|(name, said)| name == topic && said == settings);
            if *settings != TopicSettings::default() && !is_configured {
                let what = format!("topic {topic:?}: Redis keeps no settings of a stream; write them to [topics] of the configuration");
                return Err(BrokerError::give_up(what));
            }
            let mut script = scripts::MAKE.prepare_invoke();
            let made: u8 = self.server.call(topic, script.key(topic)).await.map_err(|e| self.server.error(&e))?;
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
            let command = match page {
                Page::After(position, count) => range("XRANGE", topic, [&format!("({}", EntryId::at(position)), "+"], count),
                Page::Before(u64::MAX, count) => range("XREVRANGE", topic, ["+", "-"], count),
                Page::Before(position, count) => range("XREVRANGE", topic, [&format!("({}", EntryId::at(position)), "-"], count),
            };
            let mut batch = Batch::default();
            decode::entries(topic, &self.server.run(topic, &command).await?, &mut batch);
            Ok(batch)
        })
    }

    fn wait_for<'a>(&'a self, topic: &'a str, after: u64) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            // A connection of its own, which goes with this future.
            let mut reading = self.server.connect_for_reading(topic).await?;
            let mut command = redis::cmd("XREAD");
            command.arg("COUNT").arg(1).arg("BLOCK").arg(0).arg("STREAMS").arg(topic).arg(EntryId::at(after).to_string());
            self.server.read(&mut reading, &command).await.map(drop).map_err(|e| self.server.error(&e))
        })
    }
}

impl StreamTopics {
    async fn info(&self, name: String) -> Result<Option<TopicInfo>> {
        let stream: Value = match self.server.try_run(&name, redis::cmd("XINFO").arg("STREAM").arg(&name)).await {
            Ok(info) => info,
            Err(error) if error.to_string().contains("no such key") => return Ok(None),
            Err(error) => return Err(self.server.error(&error)),
        };
        let field = |name: &str| field(&stream, name);
        let end = |name: &str| {
            field(name).and_then(|entry| list(entry).first()).and_then(|id| EntryId::parse(text(id)?)).map(|id| id.position().0)
        };
        let delayed = self.server.run(&name, redis::cmd("ZCARD").arg(beside(&name, LATER))).await?;
        let groups = self.server.run(&name, redis::cmd("XINFO").arg("GROUPS").arg(&name)).await?;
        let of_people =
            list(&groups).iter().filter(|group| self::field(group, "name").and_then(text).is_some_and(|n| !n.starts_with(BROADCAST)));
        Ok(Some(TopicInfo {
            messages: field("length").and_then(int).unwrap_or(0),
            bytes: None,
            delayed,
            positions: end("first-entry").zip(end("last-entry")),
            groups: of_people.count() as u64,
            name,
        }))
    }

    async fn empty(&self, topic: &str, removed: bool) -> Result<Option<u64>> {
        let mut script = scripts::PURGE.prepare_invoke();
        script.key(topic).key(beside(topic, DUE)).key(beside(topic, KEPT));
        script.key(beside(topic, LATER)).key(beside(topic, LATER_KEPT)).key(beside(topic, ERA));
        let count: i64 = self.server.call(topic, script.arg(u8::from(removed)).arg(REMEMBER)).await.map_err(|e| self.server.error(&e))?;
        Ok(u64::try_from(count).ok())
    }
}

/// One value of an answer that is a flat list of names and values.
pub(super) fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    list(value).chunks_exact(2).find(|pair| text(&pair[0]) == Some(name)).map(|pair| &pair[1])
}

fn range(command: &str, topic: &str, ends: [&str; 2], count: usize) -> redis::Cmd {
    let mut command = redis::cmd(command);
    command.arg(topic).arg(ends[0]).arg(ends[1]).arg("COUNT").arg(count);
    command
}
