//! The roles that only pass on: connection, topics, groups, dead letters.

use longshore_core::{
    Batch, BoxFuture, BrokerError, Connection, DeadLetters, GroupInfo, Groups, Page, Room, SeekTo, TopicInfo, TopicSettings, Topics,
};

use super::backend::Backend;
use super::catalog::topic_gone;
use super::front::Local;
use super::read::Read;

type Answer<'a, T> = BoxFuture<'a, Result<T, BrokerError>>;

/// Bytes of one page that is browsed.
const PAGE: usize = 8 << 20;

impl<B: Backend> Connection for Local<B> {
    fn ping(&self) -> Answer<'_, ()> {
        Box::pin(self.run(|_, _| Ok(())))
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.stop();
            self.backend.close().await
        })
    }
}

impl<B: Backend> Topics for Local<B> {
    fn list(&self) -> Answer<'_, Vec<TopicInfo>> {
        Box::pin(self.run(|broker, _| broker.list_topics()))
    }

    fn create<'a>(&'a self, topic: &'a str, settings: &'a TopicSettings) -> Answer<'a, bool> {
        let (topic, settings) = (topic.to_owned(), settings.clone());
        Box::pin(self.ask(move |broker, now| broker.create_topic(&topic, &settings, now)))
    }

    fn delete<'a>(&'a self, topic: &'a str) -> Answer<'a, bool> {
        let topic = topic.to_owned();
        Box::pin(self.run(move |broker, _| broker.delete_topic(&topic)))
    }

    fn purge<'a>(&'a self, topic: &'a str) -> Answer<'a, Option<u64>> {
        let topic = topic.to_owned();
        Box::pin(self.run(move |broker, _| broker.purge_topic(&topic)))
    }

    fn browse<'a>(&'a self, topic: &'a str, page: Page) -> Answer<'a, Batch> {
        let name = topic.to_owned();
        Box::pin(async move {
            let Some(read) = self.run(move |broker, _| Ok(broker.reader_of(&name))).await? else { return Ok(Batch::default()) };
            let (from, messages, downwards) = match page {
                Page::After(position, messages) => (position, messages, false),
                Page::Before(position, messages) => (position, messages, true),
            };
            if messages == 0 {
                return Ok(Batch::default());
            }
            let read = Read { from, downwards, room: Room { messages, bytes: PAGE }, ..read };
            Ok(self.backend.read(read, Batch::default()).await?.batch)
        })
    }

    fn wait_for<'a>(&'a self, topic: &'a str, after: u64) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut catalog = self.signals.catalog.subscribe();
            loop {
                catalog.borrow_and_update();
                let name = topic.to_owned();
                match self.run(move |broker, _| Ok(broker.newest_of(&name))).await? {
                    Some(mut newest) => return newest.wait_for(|newest| *newest > after).await.map(|_| ()).map_err(|_| topic_gone()),
                    None => catalog.changed().await.map_err(|_| topic_gone())?,
                }
            }
        })
    }
}

impl<B: Backend> Groups for Local<B> {
    fn list(&self) -> Answer<'_, Vec<GroupInfo>> {
        Box::pin(async move {
            let mut groups = self.run(|broker, _| broker.list_groups()).await?;
            for info in &mut groups {
                info.members = self.members.count(&info.group, &info.topic);
            }
            Ok(groups)
        })
    }

    fn seek<'a>(&'a self, group: &'a str, topic: &'a str, to: SeekTo) -> Answer<'a, Option<u64>> {
        Box::pin(async move {
            let name = topic.to_owned();
            let Some(read) = self.run(move |broker, _| Ok(broker.reader_of(&name))).await? else { return Ok(None) };
            let in_use = || {
                BrokerError::give_up(format!(
                    "group {group:?} is reading topic {topic:?} in this process; pause its handler before it is moved"
                ))
            };
            let held = self.members.claim(&group.into(), read.topic, &self.signals.catalog);
            let _held = held.filter(|_| self.members.count(group, topic) == 0).ok_or_else(in_use)?;
            let (group, topic) = (group.to_owned(), topic.to_owned());
            self.run(move |broker, _| broker.seek(&group, &topic, to)).await
        })
    }
}

impl<B: Backend> DeadLetters for Local<B> {
    fn redrive<'a>(&'a self, topic: &'a str, positions: &'a [u64]) -> Answer<'a, u64> {
        let (topic, positions) = (topic.to_owned(), positions.to_vec());
        Box::pin(self.run(move |broker, now| broker.redrive(&topic, &positions, now)))
    }

    fn remove<'a>(&'a self, topic: &'a str, positions: &'a [u64]) -> Answer<'a, u64> {
        let (topic, positions) = (topic.to_owned(), positions.to_vec());
        Box::pin(self.run(move |broker, _| broker.remove(&topic, &positions)))
    }
}
