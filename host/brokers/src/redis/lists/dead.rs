//! Dead letters: messages of a list like any other, with headers that say where they came from. They go back to what waits and is due.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{BoxFuture, BrokerError, DeadLetters, Page, Topics};

use super::keys::LaneKeys;
use super::roles::Shared;
use super::scripts;
use super::topics::ListTopics;
use crate::redis::dead::{alive, giving_back};
use crate::redis::envelope;

type Result<T> = std::result::Result<T, BrokerError>;

/// The dead letters role.
pub(super) struct ListDeadLetters(pub(super) Arc<Shared>);

impl DeadLetters for ListDeadLetters {
    fn redrive<'a>(&'a self, topic: &'a str, positions: &'a [u64]) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let mut count = 0;
            for position in positions {
                count += u64::from(self.revive(topic, *position).await?);
            }
            Ok(count)
        })
    }

    fn remove<'a>(&'a self, topic: &'a str, positions: &'a [u64]) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let mut script = scripts::REMOVE.prepare_invoke();
            script.key(topic);
            positions.iter().for_each(|position| {
                script.arg(*position);
            });
            self.0.server.call(topic, &script).await.map_err(|e| self.0.server.error(&e))
        })
    }
}

impl ListDeadLetters {
    /// Gives one back; `false` where it is none, or not there.
    async fn revive(&self, grave: &str, position: u64) -> Result<bool> {
        let page = ListTopics(self.0.clone()).browse(grave, Page::Before(position.saturating_add(1), 1)).await?;
        if page.is_empty() || page.receipt(0).position != position {
            return Ok(false);
        }
        let Some(alive) = alive(&page, grave, position) else { return Ok(false) };
        let (row, server) = (alive.message.row(0), &self.0.server);
        let keys = LaneKeys::of_queue(row.topic());
        let apart = server.are_apart(grave, row.topic());
        let mut script = giving_back((&scripts::REVIVE, &scripts::READMIT), apart, (row.topic(), grave, &position.to_string()));
        script.key(&keys.queue).key(&keys.due).key(&keys.kept);
        script.arg(alive.redrives.saturating_add(1)).arg(envelope::body(row, self.0.clock.now()));
        let given: u8 = server.call(row.topic(), &script).await.map_err(|e| server.error(&e))?;
        if apart {
            self.remove(grave, &[position]).await?;
        }
        self.0.alarms.set(row.topic(), Duration::ZERO);
        Ok(given == 1)
    }
}
