//! redis-rs: pipelines of entries; reads of many; a step is acknowledged, with what it publishes, while the next one is read.

use std::sync::Arc;

use anyhow::Result;
use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Cmd, IntoConnectionInfo, Value};

use super::{Made, Raw, Told};
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

/// The command that appends a message.
fn append(topic: &str, payload: &[u8], told: &Told) -> Cmd {
    let mut command = redis::cmd("XADD");
    command.arg(topic).arg("*").arg("payload").arg(payload).arg("timestamp").arg(&told.timestamp);
    if let Some(Made { id, origin }) = &told.made {
        command.arg("id").arg(id).arg("h.longshore-causation-id").arg(origin).arg("h.longshore-correlation-id").arg(origin);
    }
    command
}

impl Raw for Client {
    async fn connect(url: &str) -> Result<Self> {
        let at = url.into_connection_info()?.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = redis::Client::open(at)?;
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
                pipeline.add_command(append(IN, payload, &Told::now()));
            }
            pipeline.query_async::<Vec<Value>>(&mut connection).await?;
        }
        Ok(())
    }

    fn publish_one(self: Arc<Self>, payload: Vec<u8>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let mut connection = self.other.clone();
            Ok(append(IN, &payload, &Told::now()).query_async(&mut connection).await?)
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
            for (id, payload) in entries.iter().filter_map(|(id, fields)| Some((id, fields.get(1)?))) {
                seen(payload);
                if forward {
                    acks.add_command(append(OUT, payload, &Told::from(id.clone()))).ignore();
                }
            }
            acks.cmd("XACK").arg(IN).arg(GROUP).arg(entries.iter().map(|(id, _)| id).collect::<Vec<_>>()).ignore();
        }
        acks.query_async::<()>(&mut self.other).await?;
        Ok(done)
    }
}
