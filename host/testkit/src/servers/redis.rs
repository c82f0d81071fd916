//! Redis, one node.

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

/// How a Redis is set up; by default without persistence, users and TLS.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    settings: Vec<(String, String)>,
}

impl RedisOptions {
    /// Keeps data by an append-only file that is synced with each write, so that what was answered outlives `kill -9`.
    #[must_use]
    pub fn durable(self) -> RedisOptions {
        self.set("appendonly", "yes").set("appendfsync", "always")
    }

    /// A line of `redis.conf`, after ours: `set("maxmemory", "64mb")`.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> RedisOptions {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }
}

/// A Redis server on the loopback.
#[derive(Debug)]
pub struct Redis {
    /// Its process.
    pub server: Server,
    port: u16,
}

impl Redis {
    /// Starts one for this test alone. `None`: not installed, skip the test.
    ///
    /// # Panics
    /// When it does not start, or is missing in continuous integration.
    pub fn start(options: &RedisOptions) -> Option<Redis> {
        program::REDIS.or_skip(program::REDIS.find().map(|_| Redis::launch(options)))
    }

    pub(super) fn launch(options: &RedisOptions) -> Redis {
        let keeper = Keeper::new("redis").expect("a folder and a shell");
        let port = ports::free();
        let file = keeper.folder().join("redis.conf");
        fs::write(&file, configuration(port, options)).expect("a writable folder");
        let start = Start { program: program::REDIS.path(), arguments: vec![file.display().to_string()], environment: Vec::new() };
        Redis { server: Server::start("redis-server", keeper, start, Box::new(move || probe(port))), port }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

/// The folder is its working directory.
fn configuration(port: u16, options: &RedisOptions) -> String {
    let mut text = format!("bind 127.0.0.1\nport {port}\ndaemonize no\nsave \"\"\nappendonly no\nenable-debug-command yes\n");
    for (key, value) in &options.settings {
        writeln!(text, "{key} {value}").expect("a string takes all");
    }
    text
}

/// Ready is who answers a PING; that it asks for a password is an answer, that it still loads its data is none.
fn probe(port: u16) -> Result<(), String> {
    let ask = || -> std::io::Result<String> {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        connection.set_read_timeout(Some(ANSWER))?;
        connection.write_all(b"PING\r\n")?;
        let mut answer = [0; 64];
        let length = connection.read(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..length]).trim_end().to_owned())
    };
    match ask() {
        Ok(answer) if answer.starts_with("+PONG") || answer.starts_with("-NOAUTH") => Ok(()),
        Ok(answer) => Err(format!("port {port} answers PING with '{answer}'")),
        Err(why) => Err(format!("port {port} does not answer PING: {why}")),
    }
}
