//! The broker: its connection, and which stream keeps which topic. Streams are found by their subjects; one that is missing is made where
//! `declare` says so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longshore_core::{BrokerError, Clock, Connect, TopicSettings};
use serde_json::{Value, json};

use super::api::{self, Api, Said, Stream};
use super::keys::{Storage, Topic};
use super::members::Members;
use super::retries;
use crate::declare::Declare;
use crate::nats::config::Config;
use crate::nats::link::Link;
use crate::nats::names::stream_of;

/// The oldest server that has what we use: several filters of a consumer.
const OLDEST: (i64, i64, i64) = (2, 10, 0);

/// One broker with all its roles.
pub(super) struct Broker {
    pub(super) link: Arc<Link>,
    pub(super) js: Api,
    pub(super) declare: Declare,
    pub(super) clock: Clock,
    pub(super) members: Arc<Members>,
    /// Servers that keep a copy of what we make, where nothing else is said.
    pub(super) replicas: u8,
    /// By stream and consumer: everything at or below is finished, as far as this process knows, of the stream that was made then.
    floors: Mutex<HashMap<(String, String), (String, u64)>>,
    topics: HashMap<String, (TopicSettings, Topic)>,
    /// Topics that a stream takes, as far as we have looked, and its [ids](Stream::ids).
    known: Mutex<HashMap<String, Arc<str>>>,
}

impl Broker {
    /// Looks whether JetStream is there.
    pub(super) async fn open(link: Arc<Link>, config: &Config, connect: Connect) -> Result<Self, BrokerError> {
        let named = |error: BrokerError| BrokerError { what: format!("broker {:?}: {}", connect.name, error.what), ..error };
        let js = Api::reach(&link, config, OLDEST, ", or use type = \"nats\"").await.map_err(named)?;
        let mut topics = HashMap::new();
        for (name, settings) in connect.topics {
            let own = settings.own.read()?;
            topics.insert(name, (settings, own));
        }
        let members = Members::start(link.clone()).await?;
        let (declare, clock, replicas) = (config.declare, connect.clock, config.replicas);
        let (known, floors) = (Mutex::default(), Mutex::default());
        Ok(Broker { link, js, declare, clock, members, replicas, floors, topics, known })
    }

    /// The streams that keep some of what `filter` means.
    pub(super) async fn streams_of(&self, filter: &str) -> Result<Vec<String>, Said> {
        let mut names = api::streams_of(&self.js, filter).await?;
        names.retain(|name| name != retries::STREAM);
        names.sort();
        Ok(names)
    }

    /// The stream of a topic, made where there is none and that is wanted. `stream` is its name where somebody says so.
    pub(super) async fn stream_for(&self, topic: &str, stream: Option<&str>, declare: Declare) -> Result<String, Said> {
        if let Some(name) = stream {
            return match api::stream(&self.js, name, None).await? {
                Some(_) => Ok(name.into()),
                None => self.make(topic, Some(name), declare).await,
            };
        }
        match self.streams_of(topic).await?.into_iter().next() {
            Some(name) => Ok(name),
            None => self.make(topic, None, declare).await,
        }
    }

    /// What ids begin with in the stream of a topic that somebody publishes to.
    pub(super) async fn stream_to_publish(&self, topic: &str) -> Result<Arc<str>, Said> {
        if let Some(known) = self.known().get(topic) {
            return Ok(known.clone());
        }
        let name = self.stream_for(topic, None, self.declare).await?;
        let stream = api::stream(&self.js, &name, None).await?.ok_or_else(|| Said::Trouble(format!("stream {name:?} is gone")))?;
        let ids: Arc<str> = stream.ids().into();
        self.known().insert(topic.into(), ids.clone());
        Ok(ids)
    }

    /// No stream takes the topic any more.
    pub(super) fn forget(&self, topic: &str) {
        self.known().remove(topic);
    }

    /// Everything up to there is finished of the stream that was made then.
    pub(super) fn note_floor(&self, stream: &str, consumer: &str, made: &str, floor: u64) {
        let mut floors = self.floors.lock().unwrap_or_else(PoisonError::into_inner);
        floors.insert((stream.into(), consumer.into()), (made.into(), floor));
    }

    /// What was noted last.
    pub(super) fn floor(&self, stream: &str, consumer: &str) -> Option<(String, u64)> {
        let floors = self.floors.lock().unwrap_or_else(PoisonError::into_inner);
        floors.get(&(stream.to_owned(), consumer.to_owned())).cloned()
    }

    /// The group was moved, or is gone.
    pub(super) fn forget_floor(&self, stream: &str, consumer: &str) {
        let mut floors = self.floors.lock().unwrap_or_else(PoisonError::into_inner);
        floors.remove(&(stream.to_owned(), consumer.to_owned()));
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<str>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make(&self, topic: &str, stream: Option<&str>, declare: Declare) -> Result<String, Said> {
        if declare != Declare::Create {
            let which = stream.map_or_else(|| format!("no stream takes {topic:?}"), |name| format!("there is no stream {name:?}"));
            return Err(Said::Refused(format!("{which}, and `declare` does not let us make one; make it, or set declare = \"create\"")));
        }
        let (settings, own) = self.topics.get(topic).cloned().unwrap_or_default();
        let name = self.name_for(topic, stream);
        let config = self.config(&name, topic, &settings, &own);
        let made: Result<Stream, Said> = api::ask(&self.js, format!("STREAM.CREATE.{name}"), &config).await;
        match made {
            Ok(_) => Ok(name),
            // Somebody else was faster, or a stream of that name takes other subjects: whichever takes the topic now is it.
            Err(Said::Refused(words)) => match self.streams_of(topic).await?.into_iter().next() {
                Some(name) => Ok(name),
                None => self.add_subject(&name, topic, &words).await,
            },
            Err(said) => Err(said),
        }
    }

    /// The name of the stream that is made for a topic where none takes it.
    pub(super) fn name_for(&self, topic: &str, stream: Option<&str>) -> String {
        let configured = || self.topics.get(topic).and_then(|(_, own)| own.stream.clone());
        stream.map(Into::into).or_else(configured).unwrap_or_else(|| stream_of(topic))
    }

    /// Lets a stream that was named take one more subject.
    async fn add_subject(&self, name: &str, topic: &str, words: &str) -> Result<String, Said> {
        let refused = || Said::Refused(format!("stream {name:?} cannot be made for topic {topic:?}: {words}"));
        let stream = api::stream(&self.js, name, None).await?.ok_or_else(refused)?;
        let subjects: Vec<&str> = stream.subjects().into_iter().chain([topic]).collect();
        let mut config = stream.config.clone();
        config["subjects"] = json!(subjects);
        let _: Stream = api::ask(&self.js, format!("STREAM.UPDATE.{name}"), &config).await?;
        Ok(name.into())
    }

    /// Makes a topic, or changes how an existing one is kept. Says whether it is new.
    pub(super) async fn create(&self, topic: &str, settings: &TopicSettings) -> Result<bool, Said> {
        let own: Topic = settings.own.read().map_err(|error| Said::Refused(error.what))?;
        if let Some(name) = self.streams_of(topic).await?.first() {
            let stream = api::stream(&self.js, name, None).await?.ok_or_else(|| Said::Trouble("the stream is gone".into()))?;
            if *settings != TopicSettings::default() && stream.subjects() == [topic] {
                let mut changed = stream.config.clone();
                merge(&mut changed, &self.config(name, topic, settings, &own));
                let _: Stream = api::ask(&self.js, format!("STREAM.UPDATE.{name}"), &changed).await?;
            }
            return Ok(false);
        }
        let name = own.stream.clone().unwrap_or_else(|| stream_of(topic));
        let made: Result<Stream, Said> =
            api::ask(&self.js, format!("STREAM.CREATE.{name}"), &self.config(&name, topic, settings, &own)).await;
        match made {
            Ok(_) => Ok(true),
            Err(Said::Refused(words)) => self.add_subject(&name, topic, &words).await.map(|_| true),
            Err(said) => Err(said),
        }
    }

    /// A stream's configuration, with what was asked for and nothing else.
    fn config(&self, name: &str, topic: &str, settings: &TopicSettings, own: &Topic) -> Value {
        let mut config = json!({
            "name": name,
            "subjects": [topic],
            "retention": if settings.until_finished { "interest" } else { "limits" },
            "storage": match own.storage { Storage::File => "file", Storage::Memory => "memory" },
            "discard": "old",
            "num_replicas": own.replicas.unwrap_or(self.replicas),
            "allow_direct": true,
        });
        let nanos = |span: std::time::Duration| json!(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
        let optional = [
            ("max_age", settings.retention.map(nanos)),
            ("max_bytes", settings.max_size.map(|bytes| json!(bytes))),
            ("max_msgs", own.max_messages.map(|most| json!(most))),
            ("max_msg_size", own.max_message_size.map(|size| json!(size.bytes()))),
            ("duplicate_window", own.dedup_window.map(|window| nanos(window.get()))),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                config[key] = value;
            }
        }
        config
    }
}

/// Takes over the keys of `from`.
fn merge(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        into.extend(from.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
}
