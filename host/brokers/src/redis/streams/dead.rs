//! Dead letters: entries of a stream like any other, with headers that say where they came from. They go back as retries of the group that
//! failed, which no other group sees.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::row::{self, Row};
use longshore_core::{BoxFuture, BrokerError, DeadLetters, Message, headers};
use redis::Value;

use super::keys::{DUE, KEPT};
use super::scripts;
use crate::redis::alarms::Alarms;
use crate::redis::entry::{Entry, Fields, list};
use crate::redis::names::{check_name, of_group};
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
            self.server.run(&command).await
        })
    }
}

impl StreamDeadLetters {
    /// Gives one back; `false` where it is none, or not there.
    async fn revive(&self, grave: &str, id: EntryId) -> Result<bool> {
        let id = id.to_string();
        let found: Value = self.server.run(redis::cmd("XRANGE").arg(grave).arg(&id).arg(&id)).await?;
        let Some([_, fields]) = list(&found).first().map(list) else { return Ok(false) };
        let entry = Entry::read(list(fields));
        let origin = match origin(&entry) {
            Ok(origin) => origin,
            Err(what) => {
                tracing::warn!(
                    "message {grave}/{id} is not given back: it is no dead letter: {what}; publish it where it should go instead"
                );
                return Ok(false);
            }
        };
        let mut bytes = Vec::new();
        row::append(&mut bytes, &alive(&entry, &origin, &id));
        let row = Row::at(&bytes, 0).expect("it was appended");
        let mut script = scripts::REVIVE.prepare_invoke();
        script.key(grave).key(origin.topic).key(of_group(origin.topic, DUE, origin.group)).key(of_group(origin.topic, KEPT, origin.group));
        script.arg(&id).arg(origin.group).arg(origin.redrives.saturating_add(1)).arg(Fields(row));
        let given: u8 = self.server.call(grave, &script).await.map_err(|e| self.server.error(&e))?;
        self.alarms.set(origin.topic, Duration::ZERO);
        Ok(given == 1)
    }
}

/// What its headers say of a dead letter.
struct Origin<'a> {
    topic: &'a str,
    group: &'a str,
    id: Option<&'a str>,
    redrives: u32,
}

/// Where a dead letter comes from, or what is missing.
fn origin<'a>(entry: &Entry<'a>) -> std::result::Result<Origin<'a>, String> {
    let text = |name: &str| entry.headers.iter().find(|(n, _)| *n == name).and_then(|(_, value)| std::str::from_utf8(value).ok());
    let need = |name: &str| text(name).filter(|t| !t.is_empty()).ok_or_else(|| format!("it has no header {name}"));
    let topic = need(headers::DEAD_TOPIC)?;
    check_name(topic)?;
    Ok(Origin {
        topic,
        group: need(headers::DEAD_GROUP)?,
        id: text(headers::DEAD_ID),
        redrives: text(headers::DEAD_REDRIVES).and_then(|t| t.parse().ok()).unwrap_or(0),
    })
}

/// The message as it was before it died.
fn alive<'m>(entry: &'m Entry<'m>, origin: &Origin<'m>, id: &'m str) -> Message<'m, impl Iterator<Item = (&'m str, &'m [u8])> + Clone> {
    let kept = entry.headers.iter().copied().filter(|(name, _)| !name.starts_with(headers::DEAD_PREFIX));
    Message {
        id: origin.id.or(entry.id).unwrap_or(id),
        topic: origin.topic,
        key: entry.key,
        payload: Some(entry.payload.unwrap_or_default()),
        headers: kept,
        timestamp: entry.timestamp.unwrap_or_else(|| EntryId::parse(id).map_or(0, |id| id.millis)),
        attempt: 1,
    }
}
