//! Apache Kafka without ZooKeeper, one node or three; each is broker and controller.
//!
//! A node has a listener for clients that tests may advertise elsewhere (a proxy), and one of its own for everything between brokers, so that
//! a fault on the way of a client is none of the cluster's.

mod cluster;
mod options;
mod rights;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use super::disk::Disk;
use super::keeper::Keeper;
use super::process::Start;
use super::server::Server;
use super::{ports, program};

pub use cluster::KafkaCluster;
pub use options::KafkaOptions;
pub use rights::{Operation, Resource};

use options::{Node, Ports};

/// How long one question to the server may take.
const ANSWER: Duration = Duration::from_secs(2);
/// 16 bytes in URL-safe base64, as Kafka wants it. All clusters may have the same: none meets another.
const CLUSTER_ID: &str = "bG9uZ3Nob3JlLXRlc3RzMQ";

/// A Kafka node on the loopback.
#[derive(Debug)]
pub struct Kafka {
    /// Its process.
    pub server: Server,
    ports: Ports,
}

impl Kafka {
    /// Starts one for this test alone, in about two seconds. `None`: not installed, skip the test.
    ///
    /// # Panics
    /// When it does not start, or is missing in continuous integration.
    pub fn start(options: &KafkaOptions) -> Option<Kafka> {
        program::KAFKA.or_skip(options.disk.is_some())?;
        Some(Kafka::launch(options))
    }

    pub(super) fn launch(options: &KafkaOptions) -> Kafka {
        let ports = Ports::new(options);
        let kafka = Kafka::prepare(options, &Node { id: 1, voters: vec![(1, ports.controller)] }, ports);
        kafka.server.await_ready();
        kafka
    }

    /// Starts a node and does not wait: it may need others to be ready.
    fn prepare(options: &KafkaOptions, node: &Node, ports: Ports) -> Kafka {
        let keeper = Keeper::new("kafka").expect("a folder and a shell");
        let disk = Disk::new(keeper.folder(), options.disk);
        let file = keeper.folder().join("server.properties");
        let text = options.properties(node, &ports, disk.folder(), keeper.folder());
        fs::write(&file, text).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        let file = file.display().to_string();
        format(&file, &options.credentials());
        let arguments = vec!["kafka.Kafka".to_owned(), file];
        let start = Start { program: program::KAFKA.path(), arguments, environment: Vec::new() };
        let (port, brokers) = (ports.plain, node.voters.len());
        let server = Server::launched("kafka", keeper, disk, start, Box::new(move || probe(port, brokers)));
        Kafka { server, ports }
    }

    /// Its port on 127.0.0.1, without encryption and password.
    pub fn port(&self) -> u16 {
        self.ports.plain
    }

    /// `127.0.0.1:PORT`, as clients name it in `bootstrap-servers`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.plain)
    }

    /// Its port for TLS without a password.
    ///
    /// # Panics
    /// When it was started without [`KafkaOptions::tls`].
    pub fn tls_port(&self) -> u16 {
        self.ports.tls.expect("a Kafka that was started with `tls`")
    }

    /// Its port for users: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512, unencrypted.
    ///
    /// # Panics
    /// When it was started without [`KafkaOptions::user`].
    pub fn sasl_port(&self) -> u16 {
        self.ports.sasl.expect("a Kafka that was started with a `user`")
    }

    /// The same with TLS.
    ///
    /// # Panics
    /// When it was started without [`KafkaOptions::tls`] or without [`KafkaOptions::user`].
    pub fn sasl_tls_port(&self) -> u16 {
        self.ports.sasl_tls.expect("a Kafka that was started with `tls` and a `user`")
    }
}

/// Makes the folder of the node's data, with the users that only exist from the beginning (SCRAM).
fn format(properties: &str, credentials: &[String]) {
    let mut command = Command::new(program::KAFKA.path());
    command.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", properties]);
    credentials.iter().for_each(|credential| {
        command.args(["--add-scram", credential]);
    });
    let output = command.output().unwrap_or_else(|why| panic!("Kafka's storage tool: {why}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "Kafka cannot format a folder: {}{}", text(&output.stdout), text(&output.stderr));
}

/// Ready is who answers a Metadata request for no topic (version 1) with as many brokers as there are to be.
/// <https://kafka.apache.org/protocol#The_Messages_Metadata>
fn probe(port: u16, brokers: usize) -> Result<(), String> {
    const QUESTION: &[u8] = b"\0\0\0\x0e\0\x03\0\x01\0\0\0\x01\xff\xff\0\0\0\0";
    let ask = || -> std::io::Result<[u8; 12]> {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        connection.set_read_timeout(Some(ANSWER))?;
        connection.write_all(QUESTION)?;
        // Length, correlation, count of brokers.
        let mut answer = [0; 12];
        connection.read_exact(&mut answer)?;
        Ok(answer)
    };
    match ask() {
        Ok([.., a, b, c, d]) if u32::from_be_bytes([a, b, c, d]) as usize >= brokers => Ok(()),
        Ok([.., a, b, c, d]) => Err(format!("port {port} knows {} of {brokers} brokers", u32::from_be_bytes([a, b, c, d]))),
        Err(why) => Err(format!("port {port} does not answer: {why}")),
    }
}
