//! RabbitMQ, one node, as the user who runs the tests.
//!
//! The server's own script is run, not the distribution's wrapper, which insists on the user `rabbitmq`. Erlang's port mapper (epmd) is run
//! in the foreground, on a port of its own: left to itself it would detach and outlive everything.

mod alarm;
mod options;

use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::disk::Disk;
use super::keeper::Keeper;
use super::process::{Process, Start};
use super::server::Server;
use super::{patience, ports, program};

pub use alarm::Alarm;
pub use options::RabbitMqOptions;

/// How long one question to the server may take.
const ANSWER: Duration = Duration::from_secs(2);
/// How long the port mapper may take to listen.
const MAPPER: Duration = Duration::from_secs(10);
/// Nodes of one port mapper know each other by it; they are all ours.
const COOKIE: &str = "longshore";

/// A RabbitMQ node on the loopback.
#[derive(Debug)]
pub struct RabbitMq {
    /// Its process: that of the broker, not of the port mapper.
    pub server: Server,
    port: u16,
    tls_port: Option<u16>,
    node: Node,
    /// Kept for its end.
    _mapper: Process,
}

impl RabbitMq {
    /// Starts one for this test alone, in about five seconds. `None`: not installed, skip the test.
    ///
    /// # Panics
    /// When it does not start, or is missing in continuous integration.
    pub fn start(options: &RabbitMqOptions) -> Option<RabbitMq> {
        program::RABBITMQ.or_skip(false)?;
        Some(RabbitMq::launch(options))
    }

    pub(super) fn launch(options: &RabbitMqOptions) -> RabbitMq {
        let keeper = Keeper::new("rabbitmq").expect("a folder and a shell");
        let disk = Disk::new(keeper.folder(), None);
        let (port, peers) = (ports::free(), ports::free());
        let tls_port = options.has_tls.then(ports::free);
        let node = Node { name: format!("test{port}@localhost"), mapper: ports::free() };
        options.write(keeper.folder(), port, tls_port).expect("a writable folder");
        let mapper = launch_mapper(&keeper, node.mapper);
        let environment = environment(keeper.folder(), &disk, &node, peers);
        let start = Start { program: program::RABBITMQ.path(), arguments: Vec::new(), environment };
        // Each listener opens by itself; a handshake is not needed to know that it has.
        let ready = move || probe(port).and_then(|()| tls_port.map_or(Ok(()), |port| listens(port).map(drop)));
        let server = Server::start("rabbitmq-server", keeper, disk, start, Box::new(ready));
        RabbitMq { server, port, tls_port, node, _mapper: mapper }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its port for TLS.
    ///
    /// # Panics
    /// When it was started without.
    pub fn tls_port(&self) -> u16 {
        self.tls_port.expect("a RabbitMQ that was started with `tls`")
    }

    /// `amqp://guest:guest@127.0.0.1:PORT/%2f`.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Raises `alarm`, as a full disk or memory does: publishers are blocked when this returns.
    ///
    /// # Panics
    /// When the node cannot be told.
    pub fn raise(&self, alarm: Alarm) {
        alarm::raise(&self.node, alarm);
    }

    /// Ends `alarm`.
    ///
    /// # Panics
    /// When the node cannot be told.
    pub fn clear(&self, alarm: Alarm) {
        alarm::clear(&self.node, alarm);
    }
}

/// How tools of Erlang reach the node.
#[derive(Debug)]
struct Node {
    name: String,
    /// The port of its port mapper.
    mapper: u16,
}

fn launch_mapper(keeper: &Keeper, port: u16) -> Process {
    let arguments = ["-port", &port.to_string(), "-address", "127.0.0.1"].map(str::to_owned).to_vec();
    let start = Start { program: program::EPMD.path(), arguments, environment: Vec::new() };
    let mut mapper = Process::new(start, keeper.folder().join("epmd.log"));
    mapper.launch(keeper).expect("epmd starts");
    let ready = patience::wait(MAPPER, || listens(port));
    ready.unwrap_or_else(|why| panic!("epmd: {why}; {}", mapper.tail()));
    mapper
}

/// What the server's script reads. That it runs under systemd is the script's word for: become the server, instead of watching over it.
fn environment(folder: &Path, disk: &Disk, node: &Node, peers: u16) -> Vec<(String, String)> {
    let at = |name: &str| folder.join(name).display().to_string();
    let erlang = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}";
    let pairs = [
        ("HOME", folder.display().to_string()),
        ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
        ("RABBITMQ_NODENAME", node.name.clone()),
        ("RABBITMQ_USE_LONGNAME", "false".to_owned()),
        ("RABBITMQ_CONFIG_FILE", at("rabbitmq")),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", at("advanced")),
        ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
        ("RABBITMQ_MNESIA_BASE", disk.folder().display().to_string()),
        ("RABBITMQ_LOG_BASE", at("logs")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins")),
        ("RABBITMQ_GENERATED_CONFIG_DIR", at("generated")),
        ("RABBITMQ_SCHEMA_DIR", at("schema")),
        ("RABBITMQ_PID_FILE", at("pid")),
        ("RABBITMQ_DIST_PORT", peers.to_string()),
        ("ERL_EPMD_PORT", node.mapper.to_string()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erlang.to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Ready is who answers the protocol header with Connection.Start, a method frame (AMQP 0-9-1, 4.2.2 and 2.3.5); listeners open last.
fn probe(port: u16) -> Result<(), String> {
    let ask = || -> std::io::Result<u8> {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        connection.set_read_timeout(Some(ANSWER))?;
        connection.write_all(b"AMQP\x00\x00\x09\x01")?;
        let mut kind = [0];
        connection.read_exact(&mut kind)?;
        Ok(kind[0])
    };
    match ask() {
        Ok(1) => Ok(()),
        Ok(other) => Err(format!("port {port} answers a protocol header with {other}, not with a method frame")),
        Err(why) => Err(format!("port {port} does not answer: {why}")),
    }
}

fn listens(port: u16) -> Result<TcpStream, String> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(|why| format!("port {port} does not listen: {why}"))
}
