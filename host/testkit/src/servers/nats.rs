//! NATS with JetStream.

mod ask;
mod cluster;

use std::fmt::Write;
use std::fs;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use super::disk::Disk;
use super::keeper::Keeper;
use super::process::Start;
use super::server::Server;
use super::tls::Authority;
use super::{ports, program};

pub use cluster::NatsCluster;

/// How long one question to the server may take.
const ANSWER: Duration = Duration::from_secs(2);

/// How a NATS server is set up; by default with JetStream on disk, without users and TLS.
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    lines: Vec<String>,
    users: Vec<String>,
    disk: Option<usize>,
}

impl NatsOptions {
    /// Speaks TLS alone, with a certificate of `authority`.
    #[must_use]
    pub fn tls(self, authority: &Authority) -> NatsOptions {
        self.tls_block(authority, false)
    }

    /// As [`tls`](NatsOptions::tls), and clients must show a certificate of the same authority.
    #[must_use]
    pub fn mutual_tls(self, authority: &Authority) -> NatsOptions {
        self.tls_block(authority, true)
    }

    fn tls_block(self, authority: &Authority, verify: bool) -> NatsOptions {
        let (identity, trusted) = (authority.server(), authority.certificate().display());
        let (certificate, key) = (identity.certificate.display(), identity.key.display());
        self.line(&format!("tls {{ cert_file: \"{certificate}\", key_file: \"{key}\", ca_file: \"{trusted}\", verify: {verify} }}"))
    }

    /// Adds a user with permissions in the server's words, none for all: `user("orders", "secret", "publish: \"orders.>\"")`. With a first
    /// user nobody else gets in.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str, permissions: &str) -> NatsOptions {
        let permissions = if permissions.is_empty() { String::new() } else { format!(", permissions: {{ {permissions} }}") };
        self.users.push(format!("{{ user: \"{name}\", password: \"{password}\"{permissions} }}"));
        self
    }

    /// Adds a user who signs with an NKey; `public` starts with `U`.
    #[must_use]
    pub fn nkey(mut self, public: &str) -> NatsOptions {
        self.users.push(format!("{{ nkey: {public} }}"));
        self
    }

    /// Everybody needs this token; not together with users.
    #[must_use]
    pub fn token(self, token: &str) -> NatsOptions {
        self.line(&format!("authorization {{ token: \"{token}\" }}"))
    }

    /// Keeps JetStream's data on a disk of so many bytes, see [`Server::disk`].
    #[must_use]
    pub fn disk(mut self, bytes: usize) -> NatsOptions {
        self.disk = Some(bytes);
        self
    }

    /// Lines of the configuration file, after ours: `line("max_payload: 2MB")`.
    #[must_use]
    pub fn line(mut self, line: &str) -> NatsOptions {
        self.lines.push(line.to_owned());
        self
    }
}

/// A NATS server on the loopback.
#[derive(Debug)]
pub struct Nats {
    /// Its process.
    pub server: Server,
    port: u16,
    monitor: u16,
}

impl Nats {
    /// Starts one for this test alone. `None`: not installed, skip the test.
    ///
    /// # Panics
    /// When it does not start, or is missing in continuous integration.
    pub fn start(options: &NatsOptions) -> Option<Nats> {
        program::NATS.or_skip(options.disk.is_some())?;
        Some(Nats::launch(options))
    }

    pub(super) fn launch(options: &NatsOptions) -> Nats {
        let nats = Nats::launched(options);
        nats.server.await_ready();
        nats
    }

    /// The same without the wait.
    fn launched(options: &NatsOptions) -> Nats {
        let keeper = Keeper::new("nats").expect("a folder and a shell");
        let disk = Disk::new(keeper.folder(), options.disk);
        let (port, monitor) = (ports::free(), ports::free());
        let file = keeper.folder().join("nats.conf");
        fs::write(&file, configuration(port, monitor, &disk, options)).expect("a writable folder");
        let arguments = vec!["-c".to_owned(), file.display().to_string()];
        let start = Start { program: program::NATS.path(), arguments, environment: Vec::new() };
        let server = Server::launched("nats-server", keeper, disk, start, Box::new(move || probe(port, monitor)));
        Nats { server, port, monitor }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it calls itself.
    pub fn name(&self) -> String {
        server_name(self.port)
    }

    /// The port of its monitoring page (`/varz`, `/jsz`, `/healthz`).
    pub fn monitor(&self) -> u16 {
        self.monitor
    }

    /// What the server answers on a subject of its own: `ask("$JS.API.STREAM.DELETE.orders", "")`.
    ///
    /// # Errors
    /// What is wrong with the connection, or that nobody answers there.
    pub fn ask(&self, subject: &str, payload: &str) -> Result<String, String> {
        ask::ask(self.port, subject, payload)
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

fn server_name(port: u16) -> String {
    format!("test-{port}")
}

fn configuration(port: u16, monitor: u16, disk: &Disk, options: &NatsOptions) -> String {
    let (store, name) = (disk.folder().display(), server_name(port));
    let mut text = format!(
        "listen: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\nserver_name: \"{name}\"\n\
         jetstream {{ store_dir: \"{store}\", max_memory_store: 256MB, max_file_store: 2GB }}\n"
    );
    if !options.users.is_empty() {
        writeln!(text, "authorization {{ users: [{}] }}", options.users.join(", ")).expect("a string takes all");
    }
    for line in &options.lines {
        writeln!(text, "{line}").expect("a string takes all");
    }
    text
}

/// Ready is who says INFO to a client and calls itself healthy, which JetStream has a say in; neither needs a user.
fn probe(port: u16, monitor: u16) -> Result<(), String> {
    says(port, "", "INFO ").and_then(|()| says(monitor, "GET /healthz HTTP/1.0\r\n\r\n", "HTTP/1.0 200 "))
}

fn says(port: u16, question: &str, expected: &str) -> Result<(), String> {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        connection.set_read_timeout(Some(ANSWER))?;
        connection.write_all(question.as_bytes())?;
        let mut answer = vec![0; expected.len()];
        connection.read_exact(&mut answer)?;
        Ok(answer)
    };
    match ask() {
        Ok(answer) if answer == expected.as_bytes() => Ok(()),
        Ok(answer) => Err(format!("port {port} says '{}' and not '{expected}'", String::from_utf8_lossy(&answer))),
        Err(why) => Err(format!("port {port} does not answer: {why}")),
    }
}
