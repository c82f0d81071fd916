//! The proxy's task: accepts connections and does what the test says.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{Change, Command, Counts, Traffic, connection};

/// Owns the listening socket and all connections.
pub(super) struct Listener {
    server: SocketAddr,
    address: SocketAddr,
    /// `None`: connections are refused.
    socket: Option<TcpListener>,
    coming: Traffic,
    connections: Vec<watch::Sender<Traffic>>,
    tasks: JoinSet<()>,
    counts: Arc<Counts>,
}

impl Listener {
    /// A listener on `socket`, within a runtime.
    pub(super) fn new(server: SocketAddr, socket: std::net::TcpListener, counts: Arc<Counts>) -> io::Result<Listener> {
        socket.set_nonblocking(true)?;
        let (address, socket) = (socket.local_addr()?, Some(TcpListener::from_std(socket)?));
        Ok(Listener { server, address, socket, coming: Traffic::Pass, connections: Vec::new(), tasks: JoinSet::new(), counts })
    }

    /// Until the test is done with the proxy.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command { change, done }) => {
                        self.change(change).await;
                        // Nobody waits any more if the test was ended.
                        let _ = done.send(());
                    }
                    None => return,
                },
                client = accept(self.socket.as_ref()) => self.carry(client),
                Some(ended) = self.tasks.join_next() => ended.expect("a connection's task does not panic"),
            }
        }
    }

    async fn change(&mut self, change: Change) {
        match change {
            Change::Existing(traffic) => self.existing(traffic).await,
            Change::Coming(traffic) => self.coming = traffic,
            Change::Listen(false) => self.socket = None,
            Change::Listen(true) if self.socket.is_some() => {}
            Change::Listen(true) => self.socket = Some(TcpListener::bind(self.address).await.expect("the proxy's port is still free")),
        }
    }

    /// What waits to be accepted counts as existing: its client is connected already.
    async fn existing(&mut self, traffic: Traffic) {
        // The runtime looks at its sockets before it comes back.
        tokio::task::yield_now().await;
        while let Some(Some(client)) = waiting(self.socket.as_ref()).now_or_never() {
            self.carry(client);
        }
        self.connections.retain(|connection| connection.send(traffic).is_ok());
    }

    fn carry(&mut self, client: TcpStream) {
        self.counts.accepted.fetch_add(1, Ordering::AcqRel);
        self.counts.open.fetch_add(1, Ordering::AcqRel);
        let (sender, traffic) = watch::channel(self.coming);
        self.connections.retain(|connection| !connection.is_closed());
        self.connections.push(sender);
        self.tasks.spawn(connection::run(client, self.server, traffic, Arc::clone(&self.counts)));
    }
}

/// A connection that can be accepted; never, where none may be.
async fn accept(socket: Option<&TcpListener>) -> TcpStream {
    loop {
        match waiting(socket).await {
            Some(client) => return client,
            // A connection that was reset before it was accepted is none; there is nothing to accept from a closed listener.
            None if socket.is_some() => {}
            None => std::future::pending().await,
        }
    }
}

async fn waiting(socket: Option<&TcpListener>) -> Option<TcpStream> {
    socket?.accept().await.ok().map(|(client, _)| client)
}
