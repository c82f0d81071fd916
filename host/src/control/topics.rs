//! Topics.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_admin::ControlError;
use longshore_admin::control::{Answer, TopicControl};
use longshore_admin::model::{Count, Created, NewTopic, Topic};
use longshore_core::{Pattern, TopicInfo, TopicSettings};

use super::HostControl;
use super::asked::Asked;
use crate::config::TopicConfig;

impl TopicControl for HostControl {
    fn topics<'a>(&'a self, broker: Option<&'a str>) -> Answer<'a, Vec<Topic>> {
        Box::pin(async move {
            let broker = self.broker(broker)?;
            let topics = broker.topics()?;
            let mut list = topics.list().await.map_err(|e| broker.told(e))?;
            for name in self.named(&broker.config.name) {
                if !list.iter().any(|info| info.name == name) {
                    let found = topics.look(name).await.map_err(|e| broker.told(e))?;
                    list.extend(
                        found.map(|info| TopicInfo { groups: info.groups.max(self.groups_named(&broker.config.name, name)), ..info }),
                    );
                }
            }
            list.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(list.into_iter().map(|info| topic(broker, info)).collect())
        })
    }

    fn topic<'a>(&'a self, broker: Option<&'a str>, name: &'a str) -> Answer<'a, Topic> {
        Box::pin(async move {
            let on = self.broker(broker)?;
            if let Some(listed) = self.topics(broker).await?.into_iter().find(|t| t.name == name) {
                return Ok(listed);
            }
            let found = on.topics()?.look(name).await.map_err(|e| on.told(e))?;
            found.map(|info| topic(on, info)).ok_or_else(|| missing(on, name))
        })
    }

    fn create_topic(&self, new: NewTopic) -> Answer<'_, Created> {
        Box::pin(async move {
            let broker = self.broker(new.broker.as_deref())?;
            // What is said now goes before what the configuration says of that topic.
            let of = |t: &&TopicConfig| t.broker == broker.config.name && t.name == new.name;
            let configured = self.topics.iter().find(of).map(|t| t.settings.clone()).unwrap_or_default();
            let settings = TopicSettings {
                retention: new.retention_ms.map(Duration::from_millis).or(configured.retention),
                max_size: new.max_size.or(configured.max_size),
                until_finished: new.until_finished || configured.until_finished,
                own: configured.own,
            };
            let created = broker.topics()?.create(&new.name, &settings).await.map_err(|e| broker.told(e))?;
            Ok(Created { created })
        })
    }

    fn delete_topic<'a>(&'a self, broker: Option<&'a str>, name: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let broker = self.broker(broker)?;
            match broker.topics()?.delete(name).await.map_err(|e| broker.told(e))? {
                true => Ok(()),
                false => Err(missing(broker, name)),
            }
        })
    }

    fn purge_topic<'a>(&'a self, broker: Option<&'a str>, name: &'a str) -> Answer<'a, Count> {
        Box::pin(async move {
            let broker = self.broker(broker)?;
            let count = broker.topics()?.purge(name).await.map_err(|e| broker.told(e))?;
            count.map(|count| Count { count }).ok_or_else(|| missing(broker, name))
        })
    }
}

impl HostControl {
    /// Topics that the configuration names on a broker: what is subscribed to there, and what is published to.
    fn named(&self, broker: &str) -> BTreeSet<&str> {
        let subscriptions = self.subscriptions.iter().filter(|s| s.broker == broker || s.named_broker() == broker);
        let subscribed = subscriptions.flat_map(|s| &s.topics).filter(|topic| !topic.is_wild()).map(Pattern::as_str);
        let published = self.published.iter().filter(|(on, _)| on == broker).map(|(_, topic)| topic.as_str());
        subscribed.chain(published).collect()
    }

    /// How many groups the configuration has for a topic.
    fn groups_named(&self, broker: &str, topic: &str) -> u64 {
        let asked = self.subscriptions.iter().filter(|s| s.consumes(topic)).filter_map(|s| s.asked_of(broker)?.group);
        asked.collect::<BTreeSet<String>>().len() as u64
    }
}

pub(super) fn missing(broker: &Asked, topic: &str) -> ControlError {
    ControlError::not_found(format!("broker {:?} has no topic {topic:?}; `longshore topics list` shows what it has", broker.config.name))
}

fn topic(broker: &Asked, info: TopicInfo) -> Topic {
    Topic {
        name: info.name,
        broker: broker.config.name.clone(),
        messages: info.messages,
        bytes: info.bytes,
        delayed: info.delayed,
        first: info.positions.map(|(first, _)| first),
        last: info.positions.map(|(_, last)| last),
        groups: info.groups,
    }
}
