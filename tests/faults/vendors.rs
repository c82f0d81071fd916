//! The brokers under test: how each is started, configured and disturbed.

use std::time::Duration;

use longshore_testkit::proxy::Proxy;
use longshore_testkit::servers::{
    Kafka, KafkaOptions, Nats, NatsOptions, RabbitMq, RabbitMqOptions, Redis, RedisOptions, Server, free_port,
};

use super::world::IN_FLIGHT;

/// A broker on a server of this scenario's own.
pub(crate) trait Vendor: Sized {
    const NAME: &'static str;
    /// The strictest `order` that it keeps on one host.
    const ORDER: &'static str;
    /// Whether it does so when a connection of a living host is lost.
    const ORDER_OVER_RECONNECTS: bool = true;
    /// How long the load runs before anything is disturbed: a queue that RabbitMQ 3.10 made just before it was killed is there afterwards and
    /// takes nothing, for ever.
    const WARM: Duration = Duration::ZERO;
    /// Messages that a host has finished, or holds, and that come again when it is gone without a word.
    const REPEATS: u64 = IN_FLIGHT;

    /// `None` where the server is not installed.
    fn start() -> Option<Self>;
    fn server(&self) -> &Server;
    fn port(&self) -> u16;
    /// The lines of `[brokers.default]` for a host that reaches the server by that port.
    fn broker(&self, port: u16) -> String;
    /// What stands between hosts and the server where they are sent by way of it.
    fn proxy(&mut self) -> Proxy {
        Proxy::start(self.port())
    }
    /// More keys of the subscription, with a comma before each.
    fn subscription(&self) -> &'static str {
        ""
    }
}

/// A broker on which a group is a thing of its own, that somebody can remove from under its hosts.
pub(crate) trait RemovesGroups: Vendor {
    fn remove_group(&self);
}

pub(crate) struct RedisStreams(pub(crate) Redis);
pub(crate) struct RedisLists(Redis);
pub(crate) struct Rabbit(pub(crate) RabbitMq);
pub(crate) struct JetStream(pub(crate) Nats);

/// A broker of Kafka tells its clients where to come, so the proxy is there before it is.
pub(crate) struct Log {
    kafka: Kafka,
    proxy: Option<Proxy>,
}

/// A lease that a scenario can outwait.
const SHORT_LEASE: &str = r#", lease = "3s""#;

impl Vendor for RedisStreams {
    const NAME: &'static str = "redis-streams";
    const ORDER: &'static str = "key";

    fn start() -> Option<Self> {
        Redis::start(&RedisOptions::default().durable()).map(Self)
    }
    fn server(&self) -> &Server {
        &self.0.server
    }
    fn port(&self) -> u16 {
        self.0.port()
    }
    fn broker(&self, port: u16) -> String {
        format!("type = \"redis-streams\"\nurl = \"redis://127.0.0.1:{port}\"\nlease = \"3s\"")
    }
}

impl RedisStreams {
    /// The strings of the server's reply to a command.
    pub(crate) fn ask(&self, command: &[&str]) -> Vec<String> {
        self.0.ask(command).unwrap_or_else(|why| panic!("{command:?}: {why}"))
    }
}

impl RemovesGroups for RedisStreams {
    fn remove_group(&self) {
        assert_eq!(self.ask(&["XGROUP", "DESTROY", "in", "echo"]), ["1"]);
    }
}

impl RemovesGroups for JetStream {
    fn remove_group(&self) {
        let answer = self.0.ask("$JS.API.CONSUMER.DELETE.in.echo", "").unwrap_or_else(|e| panic!("{e}"));
        assert!(answer.contains(r#""success":true"#), "{answer}");
    }
}

impl Vendor for RedisLists {
    const NAME: &'static str = "redis-list";
    const ORDER: &'static str = "none";

    fn start() -> Option<Self> {
        Redis::start(&RedisOptions::default().durable()).map(Self)
    }
    fn server(&self) -> &Server {
        &self.0.server
    }
    fn port(&self) -> u16 {
        self.0.port()
    }
    fn broker(&self, port: u16) -> String {
        format!("type = \"redis-list\"\nurl = \"redis://127.0.0.1:{port}\"\nlease = \"3s\"")
    }
}

impl Vendor for Rabbit {
    const NAME: &'static str = "rabbitmq";
    const ORDER: &'static str = "none";
    const WARM: Duration = Duration::from_secs(6);

    fn start() -> Option<Self> {
        RabbitMq::start(&RabbitMqOptions::default()).map(Self)
    }
    fn server(&self) -> &Server {
        &self.0.server
    }
    fn port(&self) -> u16 {
        self.0.port()
    }
    fn broker(&self, port: u16) -> String {
        format!("type = \"rabbitmq\"\nurl = \"amqp://guest:guest@127.0.0.1:{port}/%2f\"\nheartbeat = \"4s\"")
    }
}

impl Vendor for JetStream {
    const NAME: &'static str = "nats-jetstream";
    const ORDER: &'static str = "key";
    const ORDER_OVER_RECONNECTS: bool = false;

    fn start() -> Option<Self> {
        Nats::start(&NatsOptions::default()).map(Self)
    }
    fn server(&self) -> &Server {
        &self.0.server
    }
    fn port(&self) -> u16 {
        self.0.port()
    }
    fn broker(&self, port: u16) -> String {
        format!("type = \"nats-jetstream\"\nurl = \"nats://127.0.0.1:{port}\"")
    }
    fn subscription(&self) -> &'static str {
        SHORT_LEASE
    }
}

impl Vendor for Log {
    const NAME: &'static str = "kafka";
    const ORDER: &'static str = "key";
    /// What is finished is committed once a second or after a thousand, and as much may be finished while a commit is on its way.
    const REPEATS: u64 = 2_000 + IN_FLIGHT;

    fn start() -> Option<Self> {
        let behind = free_port();
        let proxy = Proxy::start(behind);
        let kafka = Kafka::start(&KafkaOptions::default().also_behind(behind, proxy.port()))?;
        Some(Self { kafka, proxy: Some(proxy) })
    }
    fn server(&self) -> &Server {
        &self.kafka.server
    }
    fn port(&self) -> u16 {
        self.kafka.port()
    }
    fn proxy(&mut self) -> Proxy {
        self.proxy.take().expect("a scenario has one way")
    }
    fn broker(&self, port: u16) -> String {
        let times = "session-timeout = \"3s\"\nheartbeat-interval = \"500ms\"\nrequest-timeout = \"5s\"";
        format!("type = \"kafka\"\nbootstrap-servers = \"127.0.0.1:{port}\"\n{times}\n[topics.in]\npartitions = 3")
    }
}
