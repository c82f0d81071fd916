//! Topics, for a person to read and change. A topic is a subject; a stream of its own goes with it.

use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use futures::{StreamExt, TryStreamExt, stream};
use longshore_core::{Batch, BoxFuture, BrokerError, Facts, Message, Page, Receipt, TopicInfo, TopicSettings, Topics};
use serde_json::{Value, json};

use super::api::{self, Said, Stream};
use super::streams::Broker;
use super::{messages, retries};
use crate::nats::headers::decode;
use crate::nats::names::check_topic;

/// Messages that are read at once, downwards.
const READ_AHEAD: u64 = 64;
/// How often to look again for a message that was heard and is not in its stream yet.
const LOOK: Duration = Duration::from_millis(10);
/// How often to look for messages that nobody lets us hear.
const LOOK_DEAF: Duration = Duration::from_secs(1);

type Answer<'a, T> = BoxFuture<'a, Result<T, BrokerError>>;

impl Topics for Broker {
    fn list(&self) -> Answer<'_, Vec<TopicInfo>> {
        Box::pin(async move {
            let about = |said: Said| said.about("streams");
            let mut topics = Vec::new();
            for stream in api::streams(&self.js).await.map_err(about)? {
                if stream.name() != retries::STREAM {
                    topics.extend(self.topics_of(&stream).await.map_err(about)?);
                }
            }
            topics.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(topics)
        })
    }

    fn create<'a>(&'a self, topic: &'a str, settings: &'a TopicSettings) -> Answer<'a, bool> {
        Box::pin(async move {
            check_topic(topic).map_err(BrokerError::give_up)?;
            self.create(topic, settings).await.map_err(|said| said.about(format!("topic {topic:?}")))
        })
    }

    fn delete<'a>(&'a self, topic: &'a str) -> Answer<'a, bool> {
        Box::pin(async move {
            let about = |said: Said| said.about(format!("topic {topic:?}"));
            let Some(stream) = self.stream_with(topic).await.map_err(about)? else { return Ok(false) };
            let name = stream.name();
            if stream.subjects() != [topic] {
                let what =
                    format!("topic {topic:?} is not alone in stream {name:?}: purge it, or delete the stream with `nats stream rm {name}`");
                return Err(BrokerError::give_up(what));
            }
            self.forget(topic);
            for consumer in api::consumers(&self.js, name).await.map_err(about)? {
                api::delete_consumer(&self.js, retries::STREAM, &retries::consumer(name, &consumer.name)).await.map_err(about)?;
                self.forget_floor(name, &consumer.name);
            }
            api::there(api::purge(&self.js, retries::STREAM, &retries::subject(name, "*", ">")).await).map_err(about)?;
            let gone = api::there(api::ask::<Value>(&self.js, format!("STREAM.DELETE.{name}"), &json!({})).await).map_err(about)?;
            Ok(gone.is_some())
        })
    }

    fn purge<'a>(&'a self, topic: &'a str) -> Answer<'a, Option<u64>> {
        Box::pin(async move {
            let about = |said: Said| said.about(format!("topic {topic:?}"));
            let Some(stream) = self.stream_with(topic).await.map_err(about)? else { return Ok(None) };
            let count = api::purge(&self.js, stream.name(), topic).await.map_err(about)?;
            self.forget_retries_of(stream.name(), topic).await.map_err(about)?;
            self.members.tell_purged(stream.name()).await?;
            Ok(Some(count))
        })
    }

    fn browse<'a>(&'a self, topic: &'a str, page: Page) -> Answer<'a, Batch> {
        Box::pin(async move {
            let about = |said: Said| said.about(format!("topic {topic:?}"));
            let Some(stream) = self.stream_with(topic).await.map_err(about)? else { return Ok(Batch::default()) };
            let found = match page {
                Page::After(position, most) => self.upwards(&stream, topic, position, most).await,
                Page::Before(position, most) => self.downwards(&stream, topic, position, most).await,
            };
            let mut batch = Batch::default();
            found.map_err(about)?.iter().for_each(|message| push(&stream, message, &mut batch));
            Ok(batch)
        })
    }

    fn wait_for<'a>(&'a self, topic: &'a str, after: u64) -> Answer<'a, ()> {
        Box::pin(async move {
            let about = |said: Said| said.about(format!("topic {topic:?}"));
            let trouble = |error: async_nats::SubscribeError| BrokerError::retry(format!("topic {topic:?}: {error}"));
            let mut heard = self.link.client.subscribe(topic.to_owned()).await.map_err(trouble)?;
            let mut wait = LOOK_DEAF;
            loop {
                if let Some(stream) = self.stream_with(topic).await.map_err(about)?
                    && messages::next(&self.js, stream.name(), topic, after.saturating_add(1)).await.map_err(about)?.is_some()
                {
                    return Ok(());
                }
                wait = if tokio::time::timeout(wait, heard.next()).await.is_ok() { LOOK } else { LOOK_DEAF };
            }
        })
    }
}

impl Broker {
    /// The stream that keeps a topic.
    pub(super) async fn stream_with(&self, topic: &str) -> Result<Option<Stream>, Said> {
        if check_topic(topic).is_err() {
            return Ok(None);
        }
        match self.streams_of(topic).await?.first() {
            Some(name) => api::stream(&self.js, name, None).await,
            None => Ok(None),
        }
    }

    async fn topics_of(&self, stream: &Stream) -> Result<Vec<TopicInfo>, Said> {
        let consumers = api::consumers(&self.js, stream.name()).await?;
        let groups = consumers.iter().filter(|consumer| consumer.is_durable()).count() as u64;
        let state = &stream.state;
        let info = |name: &str, messages, bytes, positions| TopicInfo { name: name.into(), messages, bytes, delayed: 0, positions, groups };
        if let [only] = stream.subjects()[..]
            && check_topic(only).is_ok()
        {
            let positions = (state.messages > 0).then_some((state.first_seq, state.last_seq));
            return Ok(vec![info(only, state.messages, Some(state.bytes), positions)]);
        }
        let Some(counted) = api::stream(&self.js, stream.name(), Some(">")).await? else { return Ok(Vec::new()) };
        let mut counts = counted.state.subjects.unwrap_or_default();
        for subject in stream.subjects().into_iter().filter(|subject| check_topic(subject).is_ok()) {
            counts.entry(subject.into()).or_insert(0);
        }
        Ok(counts.into_iter().map(|(name, messages)| info(&name, messages, None, None)).collect())
    }

    async fn upwards(&self, stream: &Stream, topic: &str, after: u64, most: usize) -> Result<Vec<StreamMessage>, Said> {
        let (mut found, mut from) = (Vec::new(), after.saturating_add(1));
        while found.len() < most
            && let Some(message) = messages::next(&self.js, stream.name(), topic, from).await?
        {
            from = message.sequence + 1;
            found.push(message);
        }
        Ok(found)
    }

    async fn downwards(&self, stream: &Stream, topic: &str, before: u64, most: usize) -> Result<Vec<StreamMessage>, Said> {
        let (mut found, state) = (Vec::new(), &stream.state);
        let mut below = before.min(state.last_seq.saturating_add(1));
        while found.len() < most && state.messages > 0 && below > state.first_seq {
            let from = below.saturating_sub(READ_AHEAD).max(state.first_seq);
            let reads = stream::iter((from..below).rev()).map(|sequence| messages::at(&self.js, stream.name(), sequence));
            let page: Vec<Option<StreamMessage>> = reads.buffered(READ_AHEAD as usize).try_collect().await?;
            found.extend(page.into_iter().flatten().filter(|message| message.subject.as_str() == topic));
            below = from;
        }
        found.truncate(most);
        Ok(found)
    }
}

/// Appends a message that was read out of its stream.
fn push(stream: &Stream, message: &StreamMessage, into: &mut Batch) {
    let decoded = decode(&message.headers);
    let id = decoded.id.map_or_else(|| format!("{}/{}", stream.ids(), message.sequence), Into::into);
    let stored_at = u64::try_from(message.time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    let row = Message {
        id: &id,
        topic: message.subject.as_str(),
        key: decoded.key.as_deref(),
        payload: Some(&message.payload),
        headers: decoded.headers(),
        timestamp: decoded.timestamp.unwrap_or(stored_at),
        attempt: 1,
    };
    into.push(&row, Receipt { position: message.sequence, token: &[] }, Facts::default());
}
