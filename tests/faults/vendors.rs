//! The brokers under test: how each is started, configured and disturbed.

use std::time::Duration;

use longshore_testkit::servers::{Nats, NatsOptions, RabbitMq, RabbitMqOptions, Redis, RedisOptions, Server};

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

    /// `None` where the server is not installed.
    fn start() -> Option<Self>;
    fn server(&self) -> &Server;
    fn port(&self) -> u16;
    /// The lines of `[brokers.default]` for a host that reaches the server by that port.
    fn broker(&self, port: u16) -> String;
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
