//! async-nats: many messages on their way at once, each confirmed; pulls of many, each acknowledged, the last with an answer.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::{self, Context, Message};
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use longshore_core::headers::{CAUSATION_ID, CORRELATION_ID};

use super::{Made, Raw, Told};
use crate::host::{IN, OUT};

/// Messages on their way at once.
const WINDOW: usize = 512;

pub(super) struct Client {
    context: Context,
    messages: Option<pull::Stream>,
}

fn headers(told: &Told) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("longshore-timestamp", told.timestamp.as_str());
    if let Some(Made { id, origin }) = &told.made {
        headers.insert(NATS_MESSAGE_ID, id.as_str());
        headers.insert(CAUSATION_ID, origin.as_str());
        headers.insert(CORRELATION_ID, origin.as_str());
    }
    headers
}

fn sequence(message: &Message) -> Result<u64> {
    Ok(message.info().map_err(|error| anyhow::anyhow!("{error}"))?.stream_sequence)
}

impl Client {
    async fn send(&self, topic: &'static str, messages: impl Iterator<Item = (bytes::Bytes, Told)>) -> Result<()> {
        let sending = messages.map(|(payload, told)| async move {
            self.context.publish_with_headers(topic, headers(&told), payload).await?.await?;
            anyhow::Ok(())
        });
        stream::iter(sending).buffered(WINDOW).try_collect().await
    }
}

impl Raw for Client {
    async fn connect(url: &str) -> Result<Self> {
        Ok(Client { context: jetstream::new(async_nats::connect(url).await?), messages: None })
    }

    async fn publish(&self, count: u64, payload: &[u8]) -> Result<()> {
        let payload = bytes::Bytes::copy_from_slice(payload);
        self.send(IN, (0..count).map(|_| (payload.clone(), Told::now()))).await
    }

    fn publish_one(self: Arc<Self>, payload: Vec<u8>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move { self.send(IN, std::iter::once((payload.into(), Told::now()))).await })
    }

    async fn subscribe(&mut self) -> Result<()> {
        let config = pull::Config {
            durable_name: Some("raw".into()),
            deliver_policy: DeliverPolicy::All,
            max_ack_pending: -1,
            ..pull::Config::default()
        };
        let consumer = self.context.get_stream(IN).await?.create_consumer(config).await?;
        self.messages = Some(consumer.stream().max_messages_per_batch(WINDOW).messages().await?);
        Ok(())
    }

    async fn consume(&mut self, count: u64, forward: bool, seen: &mut dyn FnMut(&[u8])) -> Result<u64> {
        let mut done = 0;
        while done < count {
            let messages = self.messages.as_mut().context("subscribed")?;
            let mut step: Vec<Message> = Vec::new();
            while step.len() < WINDOW && done + (step.len() as u64) < count {
                let message = match step.is_empty() {
                    true => messages.next().await,
                    false => match futures::FutureExt::now_or_never(messages.next()) {
                        Some(message) => message,
                        None => break,
                    },
                };
                step.push(message.context("the stream goes on")?.map_err(|error| anyhow::anyhow!("{error}"))?);
            }
            step.iter().for_each(|message| seen(&message.payload));
            if forward {
                let told = |message: &Message| Ok((message.payload.clone(), Told::from(format!("{IN}/{}", sequence(message)?))));
                self.send(OUT, step.iter().map(told).collect::<Result<Vec<_>>>()?.into_iter()).await?;
            }
            done += step.len() as u64;
            for message in &step {
                message.ack().await.map_err(|error| anyhow::anyhow!("{error}"))?;
            }
        }
        self.context.client().flush().await?;
        Ok(done)
    }
}
