//! Redis, one node.

mod ask;
mod cluster;
mod sentinel;

use std::fmt::Write;
use std::fs;

use super::disk::Disk;
use super::keeper::Keeper;
use super::process::Start;
use super::server::Server;
use super::tls::Authority;
use super::{ports, program};

pub use cluster::RedisCluster;
pub use sentinel::RedisSentinel;

/// How a Redis is set up; by default without persistence, users and TLS.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    settings: Vec<(String, String)>,
    has_tls: bool,
    disk: Option<usize>,
    role: Role,
}

/// What the program is started as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Role {
    #[default]
    Server,
    Sentinel,
}

impl RedisOptions {
    /// Keeps data by an append-only file that is synced with each write, so that what was answered outlives `kill -9`.
    #[must_use]
    pub fn durable(self) -> RedisOptions {
        self.set("appendonly", "yes").set("appendfsync", "always")
    }

    /// Listens for TLS too, on a port of its own, with a certificate of `authority`. A client may show one of the same authority, and must
    /// after `set("tls-auth-clients", "yes")`.
    #[must_use]
    pub fn tls(mut self, authority: &Authority) -> RedisOptions {
        let (identity, to_others) = (authority.server(), authority.client("redis"));
        self.has_tls = true;
        self.set("tls-cert-file", &identity.certificate.display().to_string())
            .set("tls-key-file", &identity.key.display().to_string())
            // What a node of a cluster shows another.
            .set("tls-client-cert-file", &to_others.certificate.display().to_string())
            .set("tls-client-key-file", &to_others.key.display().to_string())
            .set("tls-ca-cert-file", &authority.certificate().display().to_string())
            .set("tls-auth-clients", "optional")
    }

    /// Adds a user with rules of the server's access control: `user("orders", "secret", "~orders* &* +@all")`.
    #[must_use]
    pub fn user(self, name: &str, password: &str, rules: &str) -> RedisOptions {
        self.set("user", &format!("{name} on >{password} {rules}"))
    }

    /// The user `default`, that a client without a name is, needs this password.
    #[must_use]
    pub fn password(self, password: &str) -> RedisOptions {
        self.set("requirepass", password)
    }

    /// Keeps data on a disk of so many bytes, see [`Server::disk`].
    #[must_use]
    pub fn disk(mut self, bytes: usize) -> RedisOptions {
        self.disk = Some(bytes);
        self
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
    tls_port: Option<u16>,
}

impl Redis {
    /// Starts one for this test alone. `None`: not installed, skip the test.
    ///
    /// # Panics
    /// When it does not start, or is missing in continuous integration.
    pub fn start(options: &RedisOptions) -> Option<Redis> {
        program::REDIS.or_skip(options.disk.is_some())?;
        Some(Redis::launch(options))
    }

    pub(super) fn launch(options: &RedisOptions) -> Redis {
        let keeper = Keeper::new("redis").expect("a folder and a shell");
        let disk = Disk::new(keeper.folder(), options.disk);
        let (port, tls_port) = (ports::free(), options.has_tls.then(ports::free));
        let file = keeper.folder().join("redis.conf");
        fs::write(&file, configuration(port, tls_port, &disk, options)).expect("a writable folder");
        let mut arguments = vec![file.display().to_string()];
        arguments.extend((options.role == Role::Sentinel).then(|| "--sentinel".to_owned()));
        let start = Start { program: program::REDIS.path(), arguments, environment: Vec::new() };
        let server = Server::start("redis-server", keeper, disk, start, Box::new(move || probe(port)));
        Redis { server, port, tls_port }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port for TLS.
    ///
    /// # Panics
    /// When it was started without.
    pub fn tls_port(&self) -> u16 {
        self.tls_port.expect("a Redis that was started with `tls`")
    }

    /// The strings and numbers of its reply to `command`, nested lists one after another: `ask(&["XLEN", "orders"])`.
    ///
    /// # Errors
    /// The server's own error, or what is wrong with the connection.
    pub fn ask(&self, command: &[&str]) -> Result<Vec<String>, String> {
        ask::ask(self.port, command)
    }
}

fn configuration(port: u16, tls_port: Option<u16>, disk: &Disk, options: &RedisOptions) -> String {
    let mut text = format!("bind 127.0.0.1\nport {port}\ndaemonize no\ndir {}\n", disk.folder().display());
    if options.role == Role::Server {
        text.push_str("save \"\"\nappendonly no\nenable-debug-command yes\n");
    }
    if let Some(port) = tls_port {
        writeln!(text, "tls-port {port}").expect("a string takes all");
    }
    for (key, value) in &options.settings {
        writeln!(text, "{key} {value}").expect("a string takes all");
    }
    text
}

/// Ready is who answers a PING; that it asks for a password is an answer, that it still loads its data is none.
fn probe(port: u16) -> Result<(), String> {
    match ask::ask(port, &["PING"]) {
        Ok(_) => Ok(()),
        Err(why) if why.starts_with("NOAUTH") => Ok(()),
        Err(why) => Err(format!("PING: {why}")),
    }
}
