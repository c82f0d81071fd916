//! Topics.

use std::time::Duration;

use longshore_admin::ControlError;
use longshore_admin::control::{Answer, TopicControl};
use longshore_admin::model::{Count, Created, NewTopic, Topic};
use longshore_core::{TopicInfo, TopicSettings};

use super::HostControl;
use super::asked::Asked;
use crate::config::TopicConfig;

impl TopicControl for HostControl {
    fn topics<'a>(&'a self, broker: Option<&'a str>) -> Answer<'a, Vec<Topic>> {
        Box::pin(async move {
            let broker = self.broker(broker)?;
            let list = broker.topics()?.list().await.map_err(|e| broker.told(e))?;
            Ok(list.into_iter().map(|info| topic(broker, info)).collect())
        })
    }

    fn topic<'a>(&'a self, broker: Option<&'a str>, name: &'a str) -> Answer<'a, Topic> {
        Box::pin(async move {
            let on = self.broker(broker)?;
            self.topics(broker).await?.into_iter().find(|t| t.name == name).ok_or_else(|| missing(on, name))
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
