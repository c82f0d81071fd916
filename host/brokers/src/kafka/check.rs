//! Looking whether topics are there and fit, and what our user may do. Nothing is changed: the brokers tell rights, and whether a topic could
//! be made they judge without making it.

use std::collections::BTreeSet;
use std::sync::Arc;

use longshore_core::{BrokerError, Finding, Intent, Start};
use rdkafka::error::RDKafkaErrorCode as Code;

use super::broker::{Broker, blocking};
use super::config::{RetryMode, Subscription};
use super::names::Tier;
use super::rights::{self, DESCRIBE_CONFIGS, READ, Right, WRITE};
use super::standing::LOOK;
use super::trouble;
use crate::declare::Declare;

type Result<T> = std::result::Result<T, BrokerError>;

const GRANT: &str = "kafka-acls.sh --add --allow-principal User:NAME --operation OPERATION --topic TOPIC (or --group GROUP); the page of Kafka \
                     says what is needed";

/// What of the brokers is in the way of every use.
pub(super) async fn server(broker: &Broker) -> Result<Vec<Finding>> {
    let settings = broker.server_settings().await?;
    let millis = |name: &str| settings.get(name)?.parse::<u128>().ok();
    let ours = broker.config.session_timeout;
    let (least, most) = (millis("group.min.session.timeout.ms"), millis("group.max.session.timeout.ms"));
    let is_outside = least.is_some_and(|least| ours.get().as_millis() < least) || most.is_some_and(|most| ours.get().as_millis() > most);
    let (Some(least), Some(most), true) = (least, most, is_outside) else { return Ok(Vec::new()) };
    let problem = format!("session-timeout is {ours}, and the brokers of Kafka take {least} to {most} ms");
    let help = "write one between, or change group.min.session.timeout.ms and group.max.session.timeout.ms there";
    Ok(vec![Finding::mistake("session-timeout", problem, help)])
}

/// What is in the way of a subscription.
pub(super) async fn subscription(broker: &Arc<Broker>, intent: &Intent) -> Result<Vec<Finding>> {
    let mut looking = Looking::new(broker);
    let Some(group) = &intent.subscribe.group else { return Ok(Vec::new()) };
    looking.group(group).await?;
    for topic in intent.subscribe.topics.iter().filter(|topic| !topic.is_wild()) {
        let topic = topic.as_str().to_owned();
        let is_there = looking.topic(&topic, READ).await?;
        if intent.subscribe.start == Start::None && looking.denied.is_empty() {
            looking.position(group, &topic).await?;
        }
        looking.retries(&topic, group, intent, is_there).await?;
    }
    Ok(looking.end())
}

/// What is in the way of publishing.
pub(super) async fn publishing(broker: &Arc<Broker>, topic: &str) -> Result<Vec<Finding>> {
    let mut looking = Looking::new(broker);
    if looking.topic(topic, WRITE).await? {
        looking.copies(topic).await?;
    }
    Ok(looking.end())
}

/// One look at a cluster.
struct Looking<'a> {
    broker: &'a Arc<Broker>,
    findings: Vec<Finding>,
    /// What our user may not do, each as words after "to".
    denied: BTreeSet<String>,
}

impl<'a> Looking<'a> {
    fn new(broker: &'a Arc<Broker>) -> Self {
        Looking { broker, findings: Vec::new(), denied: BTreeSet::new() }
    }

    fn end(mut self) -> Vec<Finding> {
        if !self.denied.is_empty() {
            let list: Vec<&str> = self.denied.iter().map(String::as_str).collect();
            self.findings.push(Finding::mistake("", format!("the user of Kafka has no right to {}", list.join(", ")), GRANT));
        }
        self.findings
    }

    async fn group(&mut self, group: &str) -> Result<()> {
        let told = loop {
            let (broker, name) = (Arc::clone(self.broker), group.to_owned());
            match blocking(move || rights::of_group(broker.admin.inner(), &name, broker.patience())).await {
                // Whoever asks has a deadline.
                Err(code) if trouble::is_moving(code) => tokio::time::sleep(LOOK).await,
                told => break told,
            }
        };
        match told {
            Ok(rights) if !rights.lack(READ) => {}
            Ok(_) | Err(Code::GroupAuthorizationFailed) => drop(self.denied.insert(format!("read group {group:?}"))),
            // A server that cannot tell, or has no such group yet.
            Err(Code::UnsupportedFeature | Code::UnsupportedVersion | Code::GroupIdNotFound) => {}
            Err(code) => return Err(trouble::of_code(&format!("group {group:?}"), code)),
        }
        Ok(())
    }

    /// Whether a topic is there. One that is not is told of, unless it can be made.
    async fn topic(&mut self, topic: &str, right: Right) -> Result<bool> {
        let topics = [topic.to_owned()];
        if self.missing(&topics, &[right]).await?.is_empty() {
            return Ok(true);
        }
        let help = format!("kafka-topics.sh --create --topic {topic}, or write declare = \"create\"");
        match self.broker.config.declare {
            Declare::Create => self.makeable(&topics, "topic").await?,
            Declare::Passive => self.findings.push(Finding::mistake("topic", format!("there is no topic {topic:?} on Kafka"), help)),
            Declare::None if self.makes_by_itself().await? => {}
            Declare::None => {
                let problem = format!("there is no topic {topic:?} on Kafka, and its brokers make none by themselves");
                self.findings.push(Finding::mistake("topic", problem, help));
            }
        }
        Ok(false)
    }

    /// The topics in which retries of these delays wait.
    async fn retries(&mut self, topic: &str, group: &str, intent: &Intent, source_is_there: bool) -> Result<()> {
        if intent.subscribe.own.read::<Subscription>()?.retry_mode == RetryMode::Block {
            return Ok(());
        }
        let tiers: BTreeSet<Tier> =
            intent.subscribe.delays.iter().flat_map(|(shortest, longest)| Tier::between(*shortest, *longest)).collect();
        let topics: Vec<String> = tiers.into_iter().map(|tier| tier.topic(topic, group)).collect();
        let missing = self.missing(&topics, &[READ, WRITE]).await?;
        if missing.is_empty() {
            return Ok(());
        }
        match self.broker.config.declare {
            Declare::Create => {
                self.makeable(&missing, "retry").await?;
                // They are made as their source is.
                if source_is_there {
                    self.missing(&[topic.to_owned()], &[DESCRIBE_CONFIGS]).await?;
                }
            }
            // Brokers that make topics by themselves do not know of how many partitions.
            Declare::Passive | Declare::None => {
                let problem = format!("retries wait in topics that are not there on Kafka: {}", missing.join(", "));
                let count = self.broker.look(topic).await?.map_or("as many as its source has".to_owned(), |count| count.to_string());
                let how = format!("kafka-topics.sh --create --topic TOPIC --partitions {count}, for each");
                self.findings.push(Finding::mistake("retry", problem, format!("{how}, or write declare = \"create\"")));
            }
        }
        Ok(())
    }

    /// The topics that are not there; to the others the rights are needed.
    async fn missing(&mut self, topics: &[String], wanted: &[Right]) -> Result<Vec<String>> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let (broker, names) = (Arc::clone(self.broker), topics.to_vec());
        let told = blocking(move || rights::of_topics(broker.admin.inner(), &names, broker.patience())).await;
        let told = told.map_err(|code| trouble::of_code("asking for topics", code))?;
        let mut missing = Vec::new();
        for (topic, told) in told {
            match told {
                Ok(told) => {
                    let lacks = wanted.iter().filter(|right| told.rights.lack(**right));
                    self.denied.extend(lacks.map(|right| format!("{} topic {topic:?}", word(*right))));
                }
                Err(Code::UnknownTopicOrPartition | Code::UnknownTopic) => missing.push(topic),
                Err(Code::TopicAuthorizationFailed) => {
                    self.denied.extend(wanted.iter().map(|right| format!("{} topic {topic:?}", word(*right))));
                }
                Err(code) => return Err(trouble::of_code(&format!("topic {topic:?}"), code)),
            }
        }
        Ok(missing)
    }

    /// Whether topics could be made. `key`: whose they are.
    async fn makeable(&mut self, topics: &[String], key: &'static str) -> Result<()> {
        for (topic, code) in self.broker.could_not_make(topics).await? {
            match code {
                Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => {
                    self.denied.insert(format!("create topic {topic:?}"));
                }
                code => self.findings.push(Finding::mistake(key, trouble::of_code(&format!("making topic {topic:?}"), code).what, "")),
            }
        }
        Ok(())
    }

    /// Whether the brokers make a topic that somebody asks for. They do unless they say otherwise.
    async fn makes_by_itself(&self) -> Result<bool> {
        let settings = self.broker.server_settings().await?;
        Ok(settings.get("auto.create.topics.enable").is_none_or(|value| value != "false"))
    }

    /// A group that is to go on has to have been somewhere.
    async fn position(&mut self, group: &str, topic: &str) -> Result<()> {
        let Some(count) = self.broker.look(topic).await? else { return Ok(()) };
        let (broker, name, topics) = (Arc::clone(self.broker), group.to_owned(), [(topic.to_owned(), count)]);
        if blocking(move || broker.stands(&name, &topics)).await?.is_empty() {
            let problem = format!("group {group:?} has no position on topic {topic:?} of Kafka, and start = \"none\" gives it none");
            self.findings.push(Finding::mistake("start", problem, "begin once with \"earliest\" or \"latest\""));
        }
        Ok(())
    }

    /// Whether so many brokers have a topic that they may take messages for it.
    async fn copies(&mut self, topic: &str) -> Result<()> {
        let (broker, name) = (Arc::clone(self.broker), topic.to_owned());
        // Who may not see the settings does without.
        let Ok(Some(least)) = self.broker.setting(topic, "min.insync.replicas").await else { return Ok(()) };
        let copies = blocking(move || broker.count_copies(&name)).await?;
        if least.parse::<i32>().is_ok_and(|least| least > copies) {
            let problem = format!("topic {topic:?} of Kafka has {copies} copies and wants {least} in sync: nothing can be published to it");
            self.findings.push(Finding::mistake("topic", problem, "give it more copies, or set its min.insync.replicas lower"));
        }
        Ok(())
    }
}

fn word(right: Right) -> &'static str {
    match right {
        WRITE => "write",
        DESCRIBE_CONFIGS => "describe the settings of",
        _ => "read",
    }
}
