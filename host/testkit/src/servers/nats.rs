//! NATS with JetStream, one node.

use std::fmt::Write;
use std::fs;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use super::keeper::Keeper;
use super::process::Start;
use super::server::Server;
use super::{ports, program};

/// How long one question to the server may take.
const ANSWER: Duration = Duration::from_secs(2);

/// How a NATS server is set up; by default with JetStream on disk, without users and TLS.
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    lines: Vec<String>,
}

impl NatsOptions {
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
        program::NATS.or_skip(program::NATS.find().map(|_| Nats::launch(options)))
    }

    pub(super) fn launch(options: &NatsOptions) -> Nats {
        let keeper = Keeper::new("nats").expect("a folder and a shell");
        let (port, monitor) = (ports::free(), ports::free());
        let file = keeper.folder().join("nats.conf");
        fs::write(&file, configuration(port, monitor, options)).expect("a writable folder");
        let arguments = vec!["-c".to_owned(), file.display().to_string()];
        let start = Start { program: program::NATS.path(), arguments, environment: Vec::new() };
        Nats { server: Server::start("nats-server", keeper, start, Box::new(move || probe(port, monitor))), port, monitor }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of its monitoring page (`/varz`, `/jsz`, `/healthz`).
    pub fn monitor(&self) -> u16 {
        self.monitor
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

/// JetStream's data is below the working directory, which is the folder.
fn configuration(port: u16, monitor: u16, options: &NatsOptions) -> String {
    let mut text = format!(
        "listen: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\nserver_name: \"test-{port}\"\n\
         jetstream {{ store_dir: \"data\", max_memory_store: 256MB, max_file_store: 2GB }}\n"
    );
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
