//! The group that a list has: whoever reads it.

use std::sync::Arc;

use longshore_core::{BoxFuture, BrokerError, GroupInfo, Groups, SeekTo};

use super::roles::Shared;
use super::topics::Counts;
use crate::redis::scan::{Kind, scan};

type Result<T> = std::result::Result<T, BrokerError>;

/// The groups role.
pub(super) struct ListGroups(pub(super) Arc<Shared>);

impl Groups for ListGroups {
    fn list(&self) -> BoxFuture<'_, Result<Vec<GroupInfo>>> {
        Box::pin(async move {
            let mut infos = Vec::new();
            for topic in scan(&self.0.server, Kind::List, "*").await? {
                let Some(counts) = Counts::of(&self.0, &topic).await? else { continue };
                let Some(group) = counts.group else { continue };
                infos.push(GroupInfo {
                    group,
                    topic,
                    position: 0,
                    lag: Some(counts.there + counts.taken + counts.retries),
                    retries: counts.retries,
                    members: counts.members.len() as u64,
                    consumers: counts.members,
                    created_at: None,
                });
            }
            Ok(infos)
        })
    }

    fn seek<'a>(&'a self, group: &'a str, topic: &'a str, _: SeekTo) -> BoxFuture<'a, Result<Option<u64>>> {
        let what = "a list keeps nothing that was taken, so there is nowhere to go back to; redis-streams does";
        Box::pin(std::future::ready(Err(BrokerError::give_up(format!("group {group:?} on list {topic:?}: {what}")))))
    }
}
