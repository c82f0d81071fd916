//! lapin: a window of confirms; prefetch, and one acknowledgement for all that came together.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use futures::future::BoxFuture;
use futures::stream::ReadyChunks;
use futures::{StreamExt, TryStreamExt, stream};
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};

use super::{Raw, Told};
use crate::host::{IN, OUT};

/// Messages that wait for their confirms, or their acknowledgement, at once.
const WINDOW: usize = 1000;

pub(super) struct Client {
    _connection: Connection,
    publishing: Channel,
    consuming: Channel,
    deliveries: Option<ReadyChunks<Consumer>>,
}

impl Client {
    async fn send<'a>(&self, topic: &'static str, payloads: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        stream::iter(payloads.map(|payload| self.send_one(topic, payload))).buffered(WINDOW).try_collect().await
    }

    async fn send_one(&self, topic: &'static str, payload: &[u8]) -> Result<()> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let timestamp = Told::now().timestamp.parse::<i64>()?;
        let mut headers = FieldTable::default();
        headers.insert("longshore-timestamp".into(), timestamp.into());
        let seconds = timestamp.unsigned_abs() / 1000;
        let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers).with_timestamp(seconds);
        let confirm = self.publishing.basic_publish("".into(), topic.into(), options, payload, properties).await?.await?;
        ensure!(confirm.is_ack(), "the server refuses a message");
        Ok(())
    }
}

impl Raw for Client {
    async fn connect(url: &str) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let (publishing, consuming) = (connection.create_channel().await?, connection.create_channel().await?);
        publishing.confirm_select(ConfirmSelectOptions::default()).await?;
        consuming.basic_qos(u16::try_from(WINDOW)?, BasicQosOptions::default()).await?;
        Ok(Client { _connection: connection, publishing, consuming, deliveries: None })
    }

    async fn publish(&self, count: u64, payload: &[u8]) -> Result<()> {
        self.send(IN, (0..count).map(|_| payload)).await
    }

    fn publish_one(self: Arc<Self>, payload: Vec<u8>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move { self.send_one(IN, &payload).await })
    }

    async fn subscribe(&mut self) -> Result<()> {
        let consumer = self.consuming.basic_consume(IN.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default()).await?;
        self.deliveries = Some(consumer.ready_chunks(WINDOW / 2));
        Ok(())
    }

    async fn consume(&mut self, count: u64, forward: bool, seen: &mut dyn FnMut(&[u8])) -> Result<u64> {
        let mut done = 0;
        while done < count {
            let chunk = self.deliveries.as_mut().context("subscribed")?.next().await.context("the queue goes on")?;
            let deliveries = chunk.into_iter().collect::<Result<Vec<_>, _>>()?;
            deliveries.iter().for_each(|delivery| seen(&delivery.data));
            if forward {
                self.send(OUT, deliveries.iter().map(|delivery| delivery.data.as_slice())).await?;
            }
            let last = deliveries.last().context("a chunk has something")?.delivery_tag;
            self.consuming.basic_ack(last, BasicAckOptions { multiple: true }).await?;
            done += deliveries.len() as u64;
        }
        Ok(done)
    }
}
