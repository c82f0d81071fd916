//! How a Kafka is set up, and the file that says so to it.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::ports;
use crate::servers::tls::Authority;

/// How a Kafka is set up; by default without TLS, users and rights. Topics are made when somebody asks for them, with one partition.
#[derive(Debug, Clone, Default)]
pub struct KafkaOptions {
    settings: Vec<(String, String)>,
    users: Vec<(String, String)>,
    /// Key and certificate in one text, and the file of whom to trust.
    tls: Option<(String, String)>,
    port: Option<u16>,
    advertised: Option<u16>,
    /// A port more, and where clients are told to come who come there.
    way: Option<(u16, u16)>,
    pub(super) disk: Option<usize>,
}

impl KafkaOptions {
    /// Listens for TLS too, on ports of its own, with a certificate of `authority`. A client may show one of the same authority, and must
    /// after `set("ssl.client.auth", "required")`.
    #[must_use]
    pub fn tls(mut self, authority: &Authority) -> KafkaOptions {
        let identity = authority.server();
        let read = |path: &Path| fs::read_to_string(path).expect("a file of the authority");
        let both = format!("{}{}", read(&identity.key), read(&identity.certificate));
        self.tls = Some((both, authority.certificate().display().to_string()));
        self
    }

    /// Adds a user, known by PLAIN and SCRAM on ports for users. Who comes over another port is `ANONYMOUS`.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> KafkaOptions {
        self.users.push((name.to_owned(), password.to_owned()));
        self
    }

    /// Nobody has a right that is not given, but who comes without a name.
    #[must_use]
    pub fn with_rights(self) -> KafkaOptions {
        self.set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer").set("super.users", "User:ANONYMOUS")
    }

    /// Listens on this port, and tells clients to come to the other: that of a proxy in front.
    #[must_use]
    pub fn behind(mut self, port: u16, advertised: u16) -> KafkaOptions {
        (self.port, self.advertised) = (Some(port), Some(advertised));
        self
    }

    /// Listens on one port more, and tells clients who come there to come to the other: that of a proxy that some go through and others do not.
    #[must_use]
    pub fn also_behind(mut self, port: u16, advertised: u16) -> KafkaOptions {
        self.way = Some((port, advertised));
        self
    }

    /// Keeps its data on a disk of so many bytes, see [`Server::disk`](crate::servers::Server::disk).
    #[must_use]
    pub fn disk(mut self, bytes: usize) -> KafkaOptions {
        self.disk = Some(bytes);
        self
    }

    /// A line of `server.properties`, in place of ours where there is one: `set("num.partitions", "4")`.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> KafkaOptions {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// What the storage tool is told of users.
    pub(super) fn credentials(&self) -> Vec<String> {
        let of = |(name, password): &(String, String)| {
            ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(|mechanism| format!("{mechanism}=[name={name},password={password}]"))
        };
        self.users.iter().flat_map(of).collect()
    }

    /// The node's `server.properties`; a later line goes before an earlier one. Writes its key into `folder`.
    pub(super) fn properties(&self, node: &Node, ports: &Ports, data: &Path, folder: &Path) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &str| writeln!(text, "{key}={value}").expect("a string takes all");
        let voters: Vec<String> = node.voters.iter().map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
        line("process.roles", "broker,controller");
        line("node.id", &node.id.to_string());
        line("controller.quorum.voters", &voters.join(","));
        line("controller.listener.names", "CONTROLLER");
        line("inter.broker.listener.name", "INTERNAL");
        line("log.dirs", &data.display().to_string());
        let (way, advertised) = self.way.unzip();
        line("listeners", &ports.listeners(ports.plain, way, true));
        line("advertised.listeners", &ports.listeners(self.advertised.unwrap_or(ports.plain), advertised, false));
        line(
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,PLAINTEXT:PLAINTEXT,WAY:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
        );
        SETTINGS.iter().for_each(|(key, value)| line(key, value));
        // Internal topics on all nodes, and no write without two of three.
        let replicas = node.voters.len().to_string();
        let enough = node.voters.len().div_ceil(2).to_string();
        for topic in ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"] {
            line(&format!("{topic}.replication.factor"), &replicas);
            line(&format!("{topic}.num.partitions"), "1");
        }
        line("transaction.state.log.min.isr", &enough);
        line("share.coordinator.state.topic.min.isr", &enough);
        line("default.replication.factor", &replicas);
        self.tls_properties(folder, &mut line);
        self.user_properties(&mut line);
        self.settings.iter().for_each(|(key, value)| line(key, value));
        text
    }

    fn tls_properties(&self, folder: &Path, line: &mut impl FnMut(&str, &str)) {
        let Some((both, trusted)) = &self.tls else { return };
        let identity = folder.join("identity.pem");
        fs::write(&identity, both).unwrap_or_else(|why| panic!("{}: {why}", identity.display()));
        line("ssl.keystore.type", "PEM");
        line("ssl.keystore.location", &identity.display().to_string());
        line("ssl.truststore.type", "PEM");
        line("ssl.truststore.location", trusted);
        line("ssl.client.auth", "requested");
    }

    fn user_properties(&self, line: &mut impl FnMut(&str, &str)) {
        if self.users.is_empty() {
            return;
        }
        let security = "org.apache.kafka.common.security";
        let users: String = self.users.iter().map(|(name, password)| format!(" user_{name}=\"{password}\"")).collect();
        line("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512");
        for listener in ["sasl_plaintext", "sasl_ssl"] {
            let jaas = |mechanism: &str| format!("listener.name.{listener}.{mechanism}.sasl.jaas.config");
            line(&jaas("plain"), &format!("{security}.plain.PlainLoginModule required{users};"));
            for mechanism in ["scram-sha-256", "scram-sha-512"] {
                line(&jaas(mechanism), &format!("{security}.scram.ScramLoginModule required;"));
            }
        }
    }
}

/// A node and all that decide with it, itself among them: number and controller's port.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: usize,
    pub(super) voters: Vec<(usize, u16)>,
}

/// The ports of a node.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) plain: u16,
    pub(super) tls: Option<u16>,
    pub(super) sasl: Option<u16>,
    pub(super) sasl_tls: Option<u16>,
    /// Between brokers.
    internal: u16,
    pub(super) controller: u16,
}

impl Ports {
    pub(super) fn new(options: &KafkaOptions) -> Ports {
        let (has_tls, has_users) = (options.tls.is_some(), !options.users.is_empty());
        Ports {
            plain: options.port.unwrap_or_else(ports::free),
            tls: has_tls.then(ports::free),
            sasl: has_users.then(ports::free),
            sasl_tls: (has_tls && has_users).then(ports::free),
            internal: ports::free(),
            controller: ports::free(),
        }
    }

    /// All listeners, as Kafka lists them; the controller's is never advertised.
    fn listeners(&self, plain: u16, way: Option<u16>, with_controller: bool) -> String {
        let all = [
            ("PLAINTEXT", Some(plain)),
            ("WAY", way),
            ("INTERNAL", Some(self.internal)),
            ("SSL", self.tls),
            ("SASL_PLAINTEXT", self.sasl),
            ("SASL_SSL", self.sasl_tls),
            ("CONTROLLER", with_controller.then_some(self.controller)),
        ];
        let there = all.iter().filter_map(|(name, port)| Some(format!("{name}://127.0.0.1:{}", (*port)?)));
        there.collect::<Vec<_>>().join(",")
    }
}

/// A broker for one test: small, quick to notice that another is gone, and in no hurry to wait for members of groups.
const SETTINGS: &[(&str, &str)] = &[
    ("num.partitions", "1"),
    ("auto.create.topics.enable", "true"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "1000"),
    ("group.consumer.min.session.timeout.ms", "1000"),
    ("group.consumer.session.timeout.ms", "6000"),
    ("group.consumer.min.heartbeat.interval.ms", "200"),
    ("group.consumer.heartbeat.interval.ms", "500"),
    // A broker that comes back after a kill waits until its predecessor is gone: nine seconds by default.
    ("broker.session.timeout.ms", "1500"),
    ("broker.heartbeat.interval.ms", "300"),
    // What a host that is gone has begun is looked for every ten seconds by default.
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
    ("num.network.threads", "2"),
    ("num.io.threads", "2"),
    ("background.threads", "2"),
    ("log.cleaner.threads", "1"),
    ("log.cleaner.dedupe.buffer.size", "16777216"),
    ("num.recovery.threads.per.data.dir", "1"),
    ("log.segment.bytes", "67108864"),
    // Files of that size are made for each segment of each partition, and a disk of a test is small.
    ("log.index.size.max.bytes", "65536"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_sent_to_the_proxy_and_brokers_are_not() {
        let options = KafkaOptions::default().behind(4000, 5000).user("alice", "secret");
        let ports = Ports { internal: 1, controller: 2, sasl: Some(3), ..Ports::new(&options) };
        let node = Node { id: 1, voters: vec![(1, 2)] };
        let text = options.properties(&node, &ports, Path::new("/data"), Path::new("/folder"));
        let at = |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!("{key}="))).expect("a line");
        let all = "PLAINTEXT://127.0.0.1:4000,INTERNAL://127.0.0.1:1,SASL_PLAINTEXT://127.0.0.1:3,CONTROLLER://127.0.0.1:2";
        assert_eq!(at("listeners"), all);
        assert_eq!(at("advertised.listeners"), "PLAINTEXT://127.0.0.1:5000,INTERNAL://127.0.0.1:1,SASL_PLAINTEXT://127.0.0.1:3");
        assert!(at("listener.name.sasl_ssl.plain.sasl.jaas.config").ends_with("required user_alice=\"secret\";"));
    }
}
