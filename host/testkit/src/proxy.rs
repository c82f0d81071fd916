//! A proxy in front of a server that makes the network misbehave as a test says: cut, reset, refuse, hang, delay, slow, and cut in the middle
//! of a frame.
//!
//! It runs on a thread of its own: a test that blocks its own does not stop the traffic. What a test asks for is told to the proxy's task
//! and has begun when the call returns; bytes that are on their way already may still arrive.
//!
//! Not here: faults of the server itself, see [`Server`](crate::servers::Server).

mod connection;
mod listener;
mod pipe;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::servers::free_port;
use listener::Listener;

/// Commands that wait: the sender waits for each to be done.
const COMMANDS: usize = 1;

/// What happens to the bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// They are forwarded.
    Pass,
    /// Nothing is read, forwarded or closed. A new connection is accepted and not carried on to the server.
    Hang,
    /// They arrive so much later, each way, at any rate.
    Delay(Duration),
    /// So many bytes pass in a second, each way.
    Slow(usize),
    /// Both sides are closed cleanly. What was not forwarded yet is lost.
    Cut,
    /// Both sides get a RST.
    Reset,
    /// They pass until so many more have passed in one direction, and not one beyond; then as by [`Cut`](Traffic::Cut).
    CutAfter(Direction, usize),
}

/// A direction of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

/// A proxy on a port of its own, gone when dropped: with its thread its connections are closed.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    counts: Arc<Counts>,
    commands: Mutex<Option<mpsc::Sender<Command>>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicUsize,
    open: AtomicUsize,
}

/// What the proxy's task does next; it says so when it has.
struct Command {
    change: Change,
    done: SyncSender<()>,
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Existing(Traffic),
    Coming(Traffic),
    Listen(bool),
}

impl Proxy {
    /// A proxy for the server on `127.0.0.1:port`, that need not run yet. It passes everything.
    ///
    /// # Panics
    /// When there is no port or no thread to be had.
    pub fn start(port: u16) -> Proxy {
        let counts = Arc::new(Counts::default());
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().expect("a runtime");
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).expect("a free port");
        let port = socket.local_addr().expect("a socket has an address").port();
        let listener = {
            let _within = runtime.enter();
            Listener::new(server, socket, Arc::clone(&counts)).expect("a socket")
        };
        let thread = std::thread::Builder::new().name("proxy".to_owned()).spawn(move || runtime.block_on(listener.run(inbox)));
        Proxy { port, counts, commands: Mutex::new(Some(commands)), thread: Some(thread.expect("a thread")) }
    }

    /// The port on 127.0.0.1 that clients are to use.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What happens to the connections that are open now.
    pub fn existing(&self, traffic: Traffic) {
        self.change(Change::Existing(traffic));
    }

    /// What happens to the connections that are accepted from now on.
    pub fn coming(&self, traffic: Traffic) {
        self.change(Change::Coming(traffic));
    }

    /// What happens to all connections.
    pub fn all(&self, traffic: Traffic) {
        self.coming(traffic);
        self.existing(traffic);
    }

    /// New connections are refused, as by a server that does not run; those that are open stay.
    pub fn refuse(&self) {
        self.change(Change::Listen(false));
    }

    /// New connections are accepted again.
    pub fn accept(&self) {
        self.change(Change::Listen(true));
    }

    /// Connections that were accepted, ever.
    pub fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::Acquire)
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.counts.open.load(Ordering::Acquire)
    }

    fn change(&self, change: Change) {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let (done, answer) = sync_channel(1);
        let sent = commands.as_ref().is_some_and(|commands| commands.try_send(Command { change, done }).is_ok());
        assert!(sent && answer.recv().is_ok(), "the proxy's thread has panicked");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        *self.commands.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(thread) = self.thread.take() {
            // It has said why itself if it panicked.
            let _ = thread.join();
        }
    }
}
