//! Making topics, and changing how they are kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{BrokerError, Fix, TopicSettings};
use rdkafka::admin::{AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer as _;

use super::broker::{Broker, blocking};
use super::config::Topic as Keys;
use super::names::{Tier, check_topic};
use super::place::MOST_PARTITIONS;
use super::trouble;
use crate::declare::Declare;

/// Between two looks at a topic that was made and has no leaders yet.
const LOOK: Duration = Duration::from_millis(20);
/// Settings of a topic that its retries do not share: they are no state, and they are kept for as long as they wait besides.
const NOT_SHARED: [&str; 4] = ["cleanup.policy", "retention.ms", "retention.bytes", "segment.ms"];
/// The setting of a topic that bounds a message, in bytes, and how much more that is where the host adds headers: 4 KiB of facts, and what it knows
/// of the message besides, with what each header costs.
const LARGEST: &str = "max.message.bytes";
const ADDED: u64 = 16 << 10;
/// How a topic is made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spec {
    /// -1: as the brokers do.
    partitions: i32,
    /// -1: as the brokers do.
    copies: i32,
    settings: BTreeMap<String, String>,
}

impl Spec {
    fn of(topic: &str, settings: &TopicSettings) -> Result<Self, BrokerError> {
        let keys: Keys = settings.own.read()?;
        let mut all = keys.settings.clone();
        let mut set = |name: &str, value: String, key: &str| match all.insert(name.into(), value) {
            None => Ok(()),
            Some(_) => Err(BrokerError::give_up(format!("topic {topic:?}: {name:?} in `settings` and `{key}` say the same thing twice"))),
        };
        if let Some(age) = settings.retention {
            set("retention.ms", age.as_millis().to_string(), "retention")?;
        }
        if let Some(bytes) = settings.max_size {
            // The server counts for each partition.
            let partitions = u64::from(keys.partitions.unwrap_or(1));
            set("retention.bytes", (bytes / partitions).to_string(), "max-size")?;
        }
        if settings.until_finished {
            let what = "Kafka keeps messages by age and size, not until every group has finished them";
            return Err(BrokerError::give_up(format!("topic {topic:?}: {what}")));
        }
        let number = |n: Option<u16>| n.map_or(-1, i32::from);
        Ok(Spec { partitions: number(keys.partitions), copies: number(keys.replication_factor.map(u16::from)), settings: all })
    }

    /// For messages that wait: by age alone, in milliseconds or for ever (-1), whatever the source and the brokers' defaults say of size and keys.
    fn keep_all_for(&mut self, millis: i64) {
        self.settings.retain(|name, _| !NOT_SHARED.contains(&name.as_str()));
        let kept = [("cleanup.policy", "delete".to_owned()), ("retention.bytes", "-1".to_owned()), ("retention.ms", millis.to_string())];
        self.settings.extend(kept.map(|(name, value)| (name.to_owned(), value)));
    }

    fn asked_of<'a>(&'a self, topic: &'a str) -> NewTopic<'a> {
        let new = NewTopic::new(topic, self.partitions, TopicReplication::Fixed(self.copies));
        self.settings.iter().fold(new, |new, (name, value)| new.set(name, value))
    }
}

impl Broker {
    /// Refuses settings of topics that cannot be kept.
    pub(super) fn check_kept(&self) -> Result<(), BrokerError> {
        self.kept.iter().try_for_each(|(topic, settings)| Spec::of(topic, settings).map(drop))
    }

    /// The partitions of a topic, which is made where it is missing and `declare` says so.
    pub(super) async fn ensure(self: &Arc<Self>, topic: &str) -> Result<i32, BrokerError> {
        let make = async |this: &Arc<Self>| {
            let spec = Spec::of(topic, this.kept.get(topic).unwrap_or(&TopicSettings::default()))?;
            this.make(topic, &spec).await.map(drop)
        };
        self.ensure_with(topic, make).await
    }

    /// The same for the topic of a group's retries, which is made as its source is, and has that partition.
    pub(super) async fn ensure_retries(self: &Arc<Self>, topic: &str, group: &str, tier: Tier, partition: i32) -> Result<(), BrokerError> {
        let name = tier.topic(topic, group);
        if self.config.declare != Declare::Create && !self.known().contains_key(&name) && self.look(&name).await?.is_none() {
            // Not even where the brokers make topics by themselves: of as many partitions as its source nobody told them.
            let wanted = self.look(topic).await?.unwrap_or(partition + 1);
            let how = format!("create it (kafka-topics.sh --create --topic {name} --partitions {wanted}), or write declare = \"create\"");
            return Err(BrokerError::give_up(format!("there is no topic {name:?}, in which retries wait; {how}")));
        }
        let make = async |this: &Arc<Self>| {
            let mut spec = this.like(topic).await?;
            let kept = spec.settings.remove("retention.ms").and_then(|millis| millis.parse::<i64>().ok()).unwrap_or(-1);
            let longer = i64::try_from(tier.span().as_millis()).unwrap_or(i64::MAX);
            let retention = if kept < 0 { -1 } else { kept.saturating_add(longer) };
            spec.keep_all_for(retention);
            this.make(&name, &spec).await.map(drop)
        };
        if self.ensure_with(&name, make).await? <= partition {
            // Its source has more by now, and so may it.
            let wanted = self.look(topic).await?.unwrap_or(0).max(partition + 1);
            if self.look(&name).await?.unwrap_or(0) <= partition
                && let Err(error) = self.add_partitions(&name, wanted).await
                && self.look(&name).await?.unwrap_or(0) <= partition
            {
                return Err(error);
            }
            let there = self.await_leaders(&name).await?;
            self.known().insert(name, there);
        }
        Ok(())
    }

    /// The same for a topic of dead letters: one partition, so that they have one order, kept until somebody removes them.
    pub(super) async fn ensure_dead_letters(self: &Arc<Self>, topic: &str, source: &str) -> Result<i32, BrokerError> {
        if self.kept.contains_key(topic) || check_topic(source).is_err() {
            return self.ensure(topic).await;
        }
        let make = async |this: &Arc<Self>| {
            let mut spec = this.like(source).await.unwrap_or(Spec { partitions: 1, copies: -1, settings: BTreeMap::new() });
            spec.keep_all_for(-1);
            this.make(topic, &Spec { partitions: 1, ..spec }).await.map(drop)
        };
        self.ensure_with(topic, make).await
    }

    async fn ensure_with(
        self: &Arc<Self>,
        topic: &str,
        make: impl AsyncFnOnce(&Arc<Self>) -> Result<(), BrokerError>,
    ) -> Result<i32, BrokerError> {
        if let Some(partitions) = self.known().get(topic) {
            return Ok(*partitions);
        }
        check_topic(topic).map_err(BrokerError::give_up)?;
        let partitions = match (self.look(topic).await?, self.config.declare) {
            (Some(partitions), _) => partitions,
            (None, Declare::Create) => {
                make(self).await?;
                self.await_leaders(topic).await?
            }
            (None, Declare::Passive) => {
                let how = "create it, or write `declare = \"create\"`";
                return Err(BrokerError::give_up(format!("there is no topic {topic:?}, and `declare` does not let us make it; {how}")));
            }
            // Whoever publishes first has the brokers make it, if they do.
            (None, Declare::None) => return Ok(1),
        };
        if partitions > MOST_PARTITIONS {
            return Err(BrokerError::give_up(format!("topic {topic:?} has {partitions} partitions; {MOST_PARTITIONS} are the most")));
        }
        self.known().insert(topic.into(), partitions);
        Ok(partitions)
    }

    /// What is there of a topic.
    pub(super) async fn look(self: &Arc<Self>, topic: &str) -> Result<Option<i32>, BrokerError> {
        let (this, topic) = (Arc::clone(self), topic.to_owned());
        blocking(move || this.partitions(&topic)).await
    }

    async fn await_leaders(self: &Arc<Self>, topic: &str) -> Result<i32, BrokerError> {
        let until = tokio::time::Instant::now() + self.patience();
        loop {
            match self.look(topic).await {
                Ok(Some(partitions)) => return Ok(partitions),
                Err(error) if error.fix != Fix::Retry => return Err(error),
                _ if tokio::time::Instant::now() > until => {
                    return Err(BrokerError::retry(format!("topic {topic:?} was made, and has no leaders yet")));
                }
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Makes a topic; `false` where it is there.
    async fn make(&self, topic: &str, spec: &Spec) -> Result<bool, BrokerError> {
        let doing = || format!("making topic {topic:?}");
        let made = self.admin.create_topics([&spec.asked_of(topic)], &self.admin_options()).await;
        match made.map_err(|error| trouble::told(&doing(), &error))?.pop() {
            Some(Err((_, Code::TopicAlreadyExists))) => Ok(false),
            Some(Err((_, code))) => Err(trouble::of_code(&doing(), code)),
            _ => {
                tracing::info!(broker = %self.watch.name, topic, "made a topic");
                Ok(true)
            }
        }
    }

    /// Why topics could not be made as they are kept. None is.
    pub(super) async fn could_not_make(&self, topics: &[String]) -> Result<Vec<(String, Code)>, BrokerError> {
        let none = TopicSettings::default();
        let specs: Vec<Spec> =
            topics.iter().map(|topic| Spec::of(topic, self.kept.get(topic).unwrap_or(&none))).collect::<Result<_, _>>()?;
        let new: Vec<NewTopic<'_>> = topics.iter().zip(&specs).map(|(topic, spec)| spec.asked_of(topic)).collect();
        let answers = self.admin.create_topics(&new, &self.admin_options().validate_only(true)).await;
        let answers = answers.map_err(|error| trouble::told("asking whether topics could be made", &error))?;
        Ok(answers.into_iter().filter_map(Result::err).filter(|(_, code)| *code != Code::TopicAlreadyExists).collect())
    }

    /// Makes a topic, or changes how an existing one is kept, as far as anything is said of it. Says whether it is new.
    pub(super) async fn make_or_change(self: &Arc<Self>, topic: &str, settings: &TopicSettings) -> Result<bool, BrokerError> {
        let spec = Spec::of(topic, settings)?;
        let Some(partitions) = self.look(topic).await? else {
            let new = self.make(topic, &spec).await?;
            self.await_leaders(topic).await?;
            return Ok(new);
        };
        if spec.copies > 0 {
            let there = self.copies(topic).await?;
            if there != spec.copies {
                let how = "change it with kafka-reassign-partitions.sh";
                return Err(BrokerError::give_up(format!("topic {topic:?} has {there} copies, not {}; {how}", spec.copies)));
            }
        }
        match spec.partitions {
            wanted if wanted > partitions => self.add_partitions(topic, wanted).await?,
            wanted if wanted > 0 && wanted < partitions => {
                return Err(BrokerError::give_up(format!("topic {topic:?} has {partitions} partitions, and Kafka takes none away")));
            }
            _ => {}
        }
        self.change(topic, spec.settings).await?;
        Ok(false)
    }

    async fn add_partitions(&self, topic: &str, wanted: i32) -> Result<(), BrokerError> {
        let doing = || format!("adding partitions to topic {topic:?}");
        let count = usize::try_from(wanted).unwrap_or_default();
        let added = self.admin.create_partitions([&NewPartitions::new(topic, count)], &self.admin_options()).await;
        self.forget(topic);
        match added.map_err(|error| trouble::told(&doing(), &error))?.pop() {
            Some(Err((_, code))) => Err(trouble::of_code(&doing(), code)),
            _ => Ok(()),
        }
    }

    /// Changes settings and keeps the others: the request replaces all of them.
    async fn change(&self, topic: &str, wanted: BTreeMap<String, String>) -> Result<(), BrokerError> {
        let mut all = self.settings(topic).await?;
        if wanted.iter().all(|(name, value)| all.get(name) == Some(value)) {
            return Ok(());
        }
        all.extend(wanted);
        let mut altered = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (name, value) in &all {
            altered = altered.set(name, value);
        }
        let doing = || format!("changing topic {topic:?}");
        let changed = self.admin.alter_configs([&altered], &self.admin_options()).await;
        match changed.map_err(|error| trouble::told(&doing(), &error))?.pop() {
            Some(Err((_, code))) => Err(trouble::of_code(&doing(), code)),
            _ => Ok(()),
        }
    }

    /// How another topic like that one is made.
    async fn like(self: &Arc<Self>, topic: &str) -> Result<Spec, BrokerError> {
        let partitions = self.ensure(topic).await?;
        let (mut settings, copies) = (self.settings(topic).await?, self.copies(topic).await?);
        if let Some(kept) = self.setting(topic, "retention.ms").await? {
            settings.insert("retention.ms".into(), kept);
        }
        // What is added to a message finds room beside the largest.
        if let Some(most) = self.setting(topic, LARGEST).await?.and_then(|most| most.parse::<u64>().ok()) {
            settings.insert(LARGEST.into(), most.saturating_add(ADDED).min(i32::MAX.unsigned_abs().into()).to_string());
        }
        Ok(Spec { partitions, copies, settings })
    }

    async fn copies(self: &Arc<Self>, topic: &str) -> Result<i32, BrokerError> {
        let (this, topic) = (Arc::clone(self), topic.to_owned());
        blocking(move || this.count_copies(&topic)).await
    }

    /// The settings that a topic has for itself.
    async fn settings(&self, topic: &str) -> Result<BTreeMap<String, String>, BrokerError> {
        let found = self.describe(topic).await?;
        let own = found.into_iter().filter(|(_, source, _)| *source == ConfigSource::DynamicTopic);
        Ok(own.filter_map(|(name, _, value)| Some((name, value?))).collect())
    }

    pub(super) async fn setting(&self, topic: &str, wanted: &str) -> Result<Option<String>, BrokerError> {
        Ok(self.describe(topic).await?.into_iter().find(|(name, _, _)| name == wanted).and_then(|(_, _, value)| value))
    }

    /// The settings of the broker that answers; none where our user may not see them.
    pub(super) async fn server_settings(&self) -> Result<BTreeMap<String, String>, BrokerError> {
        let native = self.post.native();
        let patience = self.patience();
        let asked = blocking(move || native.client().fetch_metadata(None, patience).map(|told| told.orig_broker_id())).await;
        let id = asked.map_err(|error| trouble::told("who answers", &error))?;
        let found = self.admin.describe_configs([&ResourceSpecifier::Broker(id)], &self.admin_options()).await;
        let found = found.map_err(|error| trouble::told("the settings of a broker", &error))?.pop();
        let entries = found.and_then(Result::ok).map(|resource| resource.entries).unwrap_or_default();
        Ok(entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
    }

    async fn describe(&self, topic: &str) -> Result<Vec<(String, ConfigSource, Option<String>)>, BrokerError> {
        let doing = || format!("the settings of topic {topic:?}");
        let found = self.admin.describe_configs([&ResourceSpecifier::Topic(topic)], &self.admin_options()).await;
        match found.map_err(|error| trouble::told(&doing(), &error))?.pop() {
            Some(Ok(resource)) => Ok(resource.entries.into_iter().map(|entry| (entry.name, entry.source, entry.value)).collect()),
            Some(Err(code)) => Err(trouble::of_code(&doing(), code)),
            None => Err(BrokerError::retry(format!("{}: no answer", doing()))),
        }
    }

    /// Removes a topic; `false` where there is none.
    pub(super) async fn unmake(&self, topic: &str) -> Result<bool, BrokerError> {
        let doing = || format!("removing topic {topic:?}");
        let removed = self.admin.delete_topics(&[topic], &self.admin_options()).await;
        self.forget(topic);
        match removed.map_err(|error| trouble::told(&doing(), &error))?.pop() {
            Some(Err((_, Code::UnknownTopicOrPartition))) => Ok(false),
            Some(Err((_, code))) => Err(trouble::of_code(&doing(), code)),
            _ => Ok(true),
        }
    }

    /// What requests of administration may take, here and at the brokers.
    pub(super) fn admin_options(&self) -> AdminOptions {
        let patience = Some(self.patience());
        AdminOptions::new().request_timeout(patience).operation_timeout(patience)
    }
}

/// An error of removing records.
pub(super) fn of_removing(topic: &str, error: &KafkaError) -> BrokerError {
    trouble::told(&format!("removing messages of topic {topic:?}"), error)
}

#[cfg(test)]
mod tests {
    use longshore_core::OwnKeys;
    use serde_json::json;

    use super::*;

    fn spec(own: serde_json::Value, settings: TopicSettings) -> Result<Spec, BrokerError> {
        let serde_json::Value::Object(own) = own else { panic!("a table") };
        Spec::of("t", &TopicSettings { own: OwnKeys::new(own), ..settings })
    }

    #[test]
    fn what_is_said_of_a_topic_becomes_its_settings() {
        let common = TopicSettings { retention: Some(Duration::from_secs(60)), max_size: Some(900), ..TopicSettings::default() };
        let made = spec(json!({ "partitions": 3, "replication-factor": 2, "settings": { "cleanup.policy": "compact" } }), common);
        let made = made.expect("it can be made");
        assert_eq!((made.partitions, made.copies), (3, 2));
        let settings: Vec<(&str, &str)> = made.settings.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(settings, [("cleanup.policy", "compact"), ("retention.bytes", "300"), ("retention.ms", "60000")]);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let until_finished = TopicSettings { until_finished: true, ..TopicSettings::default() };
        assert!(spec(json!({}), until_finished).expect_err("refused").what.contains("until every group"));
        let twice = TopicSettings { retention: Some(Duration::from_secs(1)), ..TopicSettings::default() };
        assert!(spec(json!({ "settings": { "retention.ms": "5" } }), twice).expect_err("refused").what.contains("twice"));
    }
}
