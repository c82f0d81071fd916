//! Walking over the dead letters of one broker, topic by topic, in pages.

use std::collections::BTreeSet;

use longshore_admin::ControlError;
use longshore_admin::model::DeadLetter;
use longshore_core::{Page, Topics, headers};

use super::facts::dead_letter;
use super::filter::Filter;
use crate::control::HostControl;
use crate::control::asked::Asked;

/// Messages that are read at once.
const STEP: usize = 500;

/// A walk over one broker.
pub(super) struct Walk<'a> {
    control: &'a HostControl,
    broker: &'a Asked,
    upwards: bool,
}

impl<'a> Walk<'a> {
    /// From the newest of each topic.
    pub(super) fn down(control: &'a HostControl, broker: &'a Asked) -> Self {
        Walk { control, broker, upwards: false }
    }

    /// From the oldest of each topic.
    pub(super) fn up(control: &'a HostControl, broker: &'a Asked) -> Self {
        Walk { control, broker, upwards: true }
    }

    /// The first `limit` of each topic that pass, topics in turn; upwards, `limit` in all.
    pub(super) async fn collect(self, filter: &Filter, limit: usize) -> Result<Vec<DeadLetter>, ControlError> {
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        let (topics, upwards) = (self.broker.topics()?, self.upwards);
        for topic in self.names(topics.as_ref(), filter).await? {
            let full = if upwards { limit } else { found.len() + limit };
            let take = |letter| {
                found.push(letter);
                found.len() < full
            };
            if !self.topic(topics.as_ref(), &topic, filter, take).await? && upwards {
                break;
            }
        }
        Ok(found)
    }

    /// Every one that passes, until `visit` says no.
    pub(super) async fn each(self, filter: &Filter, mut visit: impl FnMut(DeadLetter) -> bool + Send) -> Result<(), ControlError> {
        let topics = self.broker.topics()?;
        for topic in self.names(topics.as_ref(), filter).await? {
            if !self.topic(topics.as_ref(), &topic, filter, &mut visit).await? {
                break;
            }
        }
        Ok(())
    }

    /// How many messages it would have to read.
    pub(super) async fn length(&self) -> Result<u64, ControlError> {
        let topics = self.broker.topics()?;
        let names = self.names(topics.as_ref(), &Filter::default()).await?;
        let list = topics.list().await.map_err(|e| self.broker.told(e))?;
        Ok(list.iter().filter(|topic| names.contains(&topic.name)).map(|topic| topic.messages).sum())
    }

    /// Walks over one topic; false when `visit` said no.
    async fn topic(
        &self,
        topics: &dyn Topics,
        topic: &str,
        filter: &Filter,
        mut visit: impl FnMut(DeadLetter) -> bool + Send,
    ) -> Result<bool, ControlError> {
        let single = filter.place().filter(|(on, _)| *on == topic).map(|(_, position)| position);
        let mut at = match (single, self.upwards) {
            (Some(position), true) => position.saturating_sub(1),
            (Some(position), false) => position.saturating_add(1),
            (None, true) => 0,
            (None, false) => u64::MAX,
        };
        loop {
            let page = match (single.is_some(), self.upwards) {
                (true, true) => Page::After(at, 1),
                (true, false) => Page::Before(at, 1),
                (false, true) => Page::After(at, STEP),
                (false, false) => Page::Before(at, STEP),
            };
            let batch = topics.browse(topic, page).await.map_err(|e| self.broker.told(e))?;
            for i in 0..batch.len() {
                at = batch.receipt(i).position;
                let letter = dead_letter(&self.broker.config.name, at, batch.row(i));
                if let Some(letter) = letter.filter(|letter| filter.passes(letter))
                    && !visit(letter)
                {
                    return Ok(false);
                }
            }
            if batch.is_empty() || single.is_some() {
                return Ok(true);
            }
        }
    }

    /// Topics on which dead letters are looked for, in the order of their names.
    async fn names(&self, topics: &dyn Topics, filter: &Filter) -> Result<Vec<String>, ControlError> {
        let list = topics.list().await.map_err(|e| self.broker.told(e))?;
        let all: Vec<String> = list.into_iter().filter(|t| t.messages > 0).map(|t| t.name).collect();
        let named = self.control.destinations(&self.broker.config.name, &all);
        let mut names = Vec::new();
        for topic in all {
            let meant = filter.place().is_some_and(|(on, _)| on == topic) || named.contains(&topic);
            if meant || self.ends_dead(topics, &topic).await? {
                names.push(topic);
            }
        }
        Ok(names)
    }

    async fn ends_dead(&self, topics: &dyn Topics, topic: &str) -> Result<bool, ControlError> {
        let newest = topics.browse(topic, Page::Before(u64::MAX, 1)).await.map_err(|e| self.broker.told(e))?;
        Ok(!newest.is_empty() && newest.row(0).header(headers::DEAD_REASON).is_some())
    }
}

impl HostControl {
    /// Where the policies of a broker's subscriptions put the dead letters of its topics, patterns included.
    fn destinations(&self, broker: &str, topics: &[String]) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for subscription in self.subscriptions.iter().filter(|s| s.broker == broker) {
            let group = subscription.group.as_deref().unwrap_or_default();
            let exact = subscription.topics.iter().filter(|p| !p.is_wild()).map(|p| p.as_str());
            let matching = topics.iter().map(String::as_str).filter(|t| subscription.consumes(t));
            names.extend(exact.chain(matching).filter_map(|topic| subscription.dead_letter.destination(topic, group)));
        }
        names
    }
}
