//! The connection of one subscription: what the server sends over it waits in the buffer. It is opened by whoever fetches, and again after a
//! loss.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::BrokerError;
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, RedisResult, Value};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::wanted::Wanted;
use crate::buffer::Buffer;
use crate::redis::entry::bytes;
use crate::redis::pool::Apart;
use crate::redis::server::Server;

/// How often a silent connection is asked whether it lives.
const PING: Duration = Duration::from_secs(5);

/// A connection that hears.
pub(super) struct Ear {
    to: Apart,
    /// Turns true when the connection is lost.
    lost: watch::Receiver<bool>,
    ping_at: Instant,
}

impl Ear {
    /// Connects and subscribes, confirmed by the server.
    pub(super) async fn open(server: &Server, wanted: &Wanted, buffer: Arc<Buffer<PushInfo>>) -> Result<Self, BrokerError> {
        let (tell, lost) = watch::channel(false);
        let hear = move |push: PushInfo| -> Result<(), redis::aio::SendError> {
            match push.kind {
                PushKind::Message | PushKind::PMessage => buffer.put([(size(&push), push)]),
                PushKind::Disconnection => drop(tell.send_replace(true)),
                _ => {}
            }
            Ok(())
        };
        let mut to = server.listen(hear).await?;
        let subscribed = subscribe(&mut to.connection, wanted).await;
        subscribed.map_err(|error| server.error(&error))?;
        Ok(Ear { to, lost, ping_at: Instant::now() + PING })
    }

    /// Ends when the connection is lost, or hangs. Cancel-safe.
    pub(super) async fn lost(&mut self, patience: Duration) {
        loop {
            tokio::select! {
                // Told, or nobody is left who would tell.
                _ = self.lost.wait_for(|lost| *lost) => return,
                () = sleep_until(self.ping_at) => {}
            }
            let ping = redis::cmd("PING");
            match timeout(patience, ping.query_async::<Value>(&mut self.to.connection)).await {
                Ok(Ok(_)) => self.ping_at = Instant::now() + PING,
                _ => return,
            }
        }
    }
}

async fn subscribe(connection: &mut MultiplexedConnection, wanted: &Wanted) -> RedisResult<()> {
    let (channels, globs) = (wanted.channels(), wanted.globs());
    if !channels.is_empty() {
        connection.subscribe(channels).await?;
    }
    if !globs.is_empty() {
        connection.psubscribe(globs).await?;
    }
    Ok(())
}

fn size(push: &PushInfo) -> usize {
    push.data.iter().filter_map(bytes).map(<[u8]>::len).sum()
}
