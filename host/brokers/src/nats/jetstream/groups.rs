//! Groups, for a person to read and move: the durable consumers of streams.

use longshore_core::{BoxFuture, BrokerError, GroupInfo, Groups, SeekTo, Start};
use serde_json::json;

use super::api::{self, Consumer, Said};
use super::streams::Broker;
use super::{consumers, retries};

type Answer<'a, T> = BoxFuture<'a, Result<T, BrokerError>>;

impl Groups for Broker {
    fn list(&self) -> Answer<'_, Vec<GroupInfo>> {
        Box::pin(async move {
            let about = |said: Said| said.about("consumers");
            let (mut groups, mut names) = (Vec::new(), Vec::new());
            for stream in api::streams(&self.js).await.map_err(about)? {
                if stream.name() == retries::STREAM {
                    continue;
                }
                for consumer in api::consumers(&self.js, stream.name()).await.map_err(about)?.iter().filter(|c| c.is_durable()) {
                    let retries = self.count_retries(stream.name(), &consumer.name).await.map_err(about)?;
                    groups.push(info(consumer, &stream.subjects(), retries));
                    names.push((stream.name().to_owned(), consumer.name.clone()));
                }
            }
            let names: Vec<(&str, &str)> = names.iter().map(|(stream, consumer)| (stream.as_str(), consumer.as_str())).collect();
            let members = if names.is_empty() { Vec::new() } else { self.members.count(&names).await? };
            groups.iter_mut().zip(members).for_each(|(group, members)| group.members = members);
            groups.sort_by(|a, b| (&a.topic, &a.group).cmp(&(&b.topic, &b.group)));
            Ok(groups)
        })
    }

    fn seek<'a>(&'a self, group: &'a str, topic: &'a str, to: SeekTo) -> Answer<'a, Option<u64>> {
        Box::pin(async move {
            let about = |said: Said| said.about(format!("group {group:?} on topic {topic:?}"));
            let Some(stream) = self.stream_with(topic).await.map_err(about)? else { return Ok(None) };
            let name = stream.name();
            let Some(consumer) = api::consumer(&self.js, name, group).await.map_err(about)? else { return Ok(None) };
            if self.members.count(&[(name, group)]).await?.iter().any(|members| *members > 0) {
                let what = format!("group {group:?} is reading topic {topic:?} now; pause its handler, on every host, before it is moved");
                return Err(BrokerError::give_up(what));
            }
            let start = match to {
                SeekTo::Beginning => Start::Earliest,
                SeekTo::End => Start::Latest,
                SeekTo::Position(position) => Start::Position(position.max(1).to_string()),
                SeekTo::Time(millis) => Start::Time(millis),
            };
            let config = moved(&consumer, &start)?;
            self.forget_floor(name, group);
            // A consumer cannot be moved, so it is made anew. Its retries go.
            api::delete_consumer(&self.js, name, group).await.map_err(about)?;
            let made = api::put_consumer(&self.js, name, group, &config).await.map_err(about)?;
            self.forget_retries(name, group).await.map_err(about)?;
            Ok(Some(made.ack_floor.stream_seq))
        })
    }
}

fn moved(consumer: &Consumer, start: &Start) -> Result<serde_json::Value, BrokerError> {
    let mut config = consumer.config.clone();
    if let Some(keys) = config.as_object_mut() {
        ["deliver_policy", "opt_start_seq", "opt_start_time"].iter().for_each(|key| {
            keys.remove(*key);
        });
    }
    match serde_json::to_value(consumers::policy(start, "the group is moved")?).unwrap_or_default() {
        serde_json::Value::Object(keys) => keys.into_iter().for_each(|(key, value)| config[key] = value),
        simple => config["deliver_policy"] = json!(simple),
    }
    Ok(config)
}

fn info(consumer: &Consumer, subjects: &[&str], retries: u64) -> GroupInfo {
    let filters = consumer.filters();
    let topic = if filters.is_empty() { subjects.join(", ") } else { filters.join(", ") };
    let created = async_nats::datetime::parse_rfc3339(&consumer.created).ok().map(|at| at.unix_timestamp_nanos() / 1_000_000);
    GroupInfo {
        group: consumer.name.clone(),
        topic,
        position: consumer.ack_floor.stream_seq,
        lag: Some(consumer.num_pending + consumer.num_ack_pending),
        retries,
        members: 0,
        consumers: Vec::new(),
        created_at: created.and_then(|millis| u64::try_from(millis).ok()),
    }
}
