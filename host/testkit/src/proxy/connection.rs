//! One connection through the proxy, and its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::pipe::Pipe;
use super::{Counts, Direction, Traffic};

/// How long a connection that was cut waits for its peers to close too.
const FAREWELL: Duration = Duration::from_secs(5);

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By FIN, to both sides.
    Clean,
    /// By RST, to both sides.
    Reset,
}

impl From<io::Error> for End {
    /// A side that broke is told to the other as it came: a reset.
    fn from(_: io::Error) -> End {
        End::Reset
    }
}

/// Carries `client` to `server` until one of them closes or the test wants its end.
pub(super) async fn run(mut client: TcpStream, server: SocketAddr, mut traffic: watch::Receiver<Traffic>, counts: Arc<Counts>) {
    let mut upstream = None;
    let end = tokio::select! {
        biased;
        end = wanted(traffic.clone()) => end,
        end = carry(&mut client, &mut upstream, server, &mut traffic) => end,
    };
    counts.open.fetch_sub(1, Ordering::AcqRel);
    let sides = [Some(client), upstream].into_iter().flatten();
    match end {
        End::Reset => sides.for_each(reset),
        End::Clean => drop(tokio::time::timeout(FAREWELL, futures::future::join_all(sides.map(close))).await),
    }
}

/// The end that the test wants, when it does.
async fn wanted(mut traffic: watch::Receiver<Traffic>) -> End {
    match traffic.wait_for(|traffic| matches!(traffic, Traffic::Cut | Traffic::Reset)).await.map(|traffic| *traffic) {
        Ok(Traffic::Reset) => End::Reset,
        Ok(_) => End::Clean,
        // The proxy is ending, and this task with it.
        Err(_) => std::future::pending().await,
    }
}

async fn carry(
    client: &mut TcpStream,
    upstream: &mut Option<TcpStream>,
    server: SocketAddr,
    traffic: &mut watch::Receiver<Traffic>,
) -> End {
    // An error is the proxy's own end.
    let _ = traffic.wait_for(|traffic| *traffic != Traffic::Hang).await;
    let Ok(connected) = TcpStream::connect(server).await else { return End::Reset };
    let upstream = upstream.insert(connected);
    for side in [&*client, &*upstream] {
        if let Err(why) = side.set_nodelay(true) {
            return End::from(why);
        }
    }
    let ((client_reads, client_writes), (server_reads, server_writes)) = (client.split(), upstream.split());
    let up = Pipe::new(client_reads, server_writes, Direction::ToServer, traffic.clone());
    let down = Pipe::new(server_reads, client_writes, Direction::ToClient, traffic.clone());
    match futures::try_join!(up.run(), down.run()) {
        Ok(_) => End::Clean,
        Err(end) => end,
    }
}

/// Linger with no time is a RST instead of a FIN.
fn reset(side: TcpStream) {
    // A socket that is broken already needs none.
    let _ = side.set_zero_linger();
}

/// A socket that is closed with bytes in it that nobody read sends a RST; so they are read until the peer has closed too.
async fn close(mut side: TcpStream) {
    let mut rest = [0; 4096];
    if side.shutdown().await.is_ok() {
        while side.read(&mut rest).await.is_ok_and(|length| length > 0) {}
    }
}
