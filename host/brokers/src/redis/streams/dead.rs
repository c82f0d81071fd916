//! Dead letters: entries of a stream like any other, with headers that say where they came from. They go back as retries of the group that
//! failed, which no other group sees.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Batch, BoxFuture, BrokerError, DeadLetters};
use redis::Value;

use super::keys::{DUE, KEPT};
use super::{decode, scripts};
use crate::redis::alarms::Alarms;
use crate::redis::dead::{Alive, alive, giving_back};
use crate::redis::entry::Fields;
use crate::redis::names::of_group;
use crate::redis::position::EntryId;
use crate::redis::server::Server;

type Result<T> = std::result::Result<T, BrokerError>;

/// The dead letters role.
pub(super) struct StreamDeadLetters {
    pub(super) server: Arc<Server>,
    pub(super) alarms: Arc<Alarms>,
}

impl DeadLetters for StreamDeadLetters {
    fn redrive<'a>(&'a self, topic: &'a str, positions: &'a [u64]) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let mut count = 0;
            for position in positions {
                count += u64::from(self.revive(topic, EntryId::at(*position)).await?);
            }
            Ok(count)
        })
    }

    fn remove<'a>(&'a self, topic: &'a str, positions: &'a [u64]) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            if positions.is_empty() {
                return Ok(0);
            }
            let mut command = redis::cmd("XDEL");
            command.arg(topic);
            positions.iter().for_each(|position| {
                command.arg(EntryId::at(*position).to_string());
            });
            self.server.run(topic, &command).await
        })
    }
}

impl StreamDeadLetters {
    /// Gives one back; `false` where it is none, or not there.
    async fn revive(&self, grave: &str, id: EntryId) -> Result<bool> {
        let id = id.to_string();
        let found: Value = self.server.run(grave, redis::cmd("XRANGE").arg(grave).arg(&id).arg(&id)).await?;
        let mut page = Batch::default();
        decode::entries(grave, &found, &mut page);
        if page.is_empty() {
            return Ok(false);
        }
        let Some(Alive { message, group, redrives }) = alive(&page, grave, &id) else { return Ok(false) };
        let row = message.row(0);
        let apart = self.server.are_apart(grave, row.topic());
        let mut script = giving_back((&scripts::REVIVE, &scripts::READMIT), apart, (row.topic(), grave, &id));
        script.key(of_group(row.topic(), DUE, group)).key(of_group(row.topic(), KEPT, group));
        script.arg(group).arg(redrives.saturating_add(1)).arg(Fields(row));
        let given: u8 = self.server.call(row.topic(), &script).await.map_err(|e| self.server.error(&e))?;
        if apart {
            self.server.run::<Value>(grave, redis::cmd("XDEL").arg(grave).arg(&id)).await?;
        }
        self.alarms.set(row.topic(), Duration::ZERO);
        Ok(given == 1)
    }
}
