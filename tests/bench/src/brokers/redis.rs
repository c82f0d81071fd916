//! redis-rs: pipelines of entries; reads of many; a step is acknowledged, with what it publishes, while the next one is read.

use std::sync::Arc;

use anyhow::Result;
use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Value};

use super::Raw;
use crate::host::{IN, OUT};

/// Entries of one pipeline or read.
const STEP: usize = 500;
const GROUP: &str = "raw";

pub(super) struct Client {
    /// For reads that wait.
    reader: MultiplexedConnection,
    other: MultiplexedConnection,
}

/// Streams with entries: the id, and fields.
type Read = Option<Vec<(String, Vec<(String, Vec<Vec<u8>>)>)>>;

impl Raw for Client {
    async fn connect(url: &str) -> Result<Self> {
        let client = redis::Client::open(url)?;
        let waits = AsyncConnectionConfig::new().set_response_timeout(None);
        Ok(Client {
            reader: client.get_multiplexed_async_connection_with_config(&waits).await?,
            other: client.get_multiplexed_async_connection().await?,
        })
    }

    async fn publish(&self, count: u64, payload: &[u8]) -> Result<()> {
        let mut connection = self.other.clone();
        for _ in 0..count / STEP as u64 {
            let mut pipeline = redis::pipe();
            for _ in 0..STEP {
                pipeline.cmd("XADD").arg(IN).arg("*").arg("payload").arg(payload);
            }
            pipeline.query_async::<Vec<Value>>(&mut connection).await?;
        }
        Ok(())
    }

    fn publish_one(self: Arc<Self>, payload: Vec<u8>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let mut connection = self.other.clone();
            Ok(redis::cmd("XADD").arg(IN).arg("*").arg("payload").arg(payload).query_async(&mut connection).await?)
        })
    }

    async fn subscribe(&mut self) -> Result<()> {
        Ok(redis::cmd("XGROUP").arg("CREATE").arg(IN).arg(GROUP).arg("0").arg("MKSTREAM").query_async(&mut self.other).await?)
    }

    async fn consume(&mut self, count: u64, forward: bool, seen: &mut dyn FnMut(&[u8])) -> Result<u64> {
        let mut done = 0;
        let mut acks = redis::pipe();
        while done < count {
            let mut read = redis::cmd("XREADGROUP");
            read.arg("GROUP").arg(GROUP).arg("c").arg("COUNT").arg(STEP).arg("BLOCK").arg(1000).arg("STREAMS").arg(IN).arg(">");
            let Client { reader, other } = self;
            let acked = async {
                match acks.is_empty() {
                    true => Ok(()),
                    false => acks.query_async(other).await,
                }
            };
            let (read, acked) = futures::join!(read.query_async::<Read>(reader), acked);
            acked?;
            acks = redis::pipe();
            let entries: Vec<_> = read?.unwrap_or_default().into_iter().flat_map(|(_, entries)| entries).collect();
            if entries.is_empty() {
                continue;
            }
            done += entries.len() as u64;
            for payload in entries.iter().filter_map(|(_, fields)| fields.last()) {
                seen(payload);
                if forward {
                    acks.cmd("XADD").arg(OUT).arg("*").arg("payload").arg(payload).ignore();
                }
            }
            acks.cmd("XACK").arg(IN).arg(GROUP).arg(entries.iter().map(|(id, _)| id).collect::<Vec<_>>()).ignore();
        }
        acks.query_async::<()>(&mut self.other).await?;
        Ok(done)
    }
}
