//! From keys to properties of librdkafka: <https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md>.

use std::time::Duration;

use longshore_core::{BrokerError, Connect, Subscribe};
use rdkafka::ClientConfig;

use super::config::Config;

/// Longest wait between two tries to connect again, milliseconds.
const RECONNECT: &str = "1000";
/// Bytes of a message at most, its headers included, as far as the client is concerned.
const LARGEST: &str = "100000000";
/// Bytes that are read ahead of each partition, KiB.
const READ_AHEAD: &str = "4096";
/// Bounds of how long a transaction may be open: a broker that was killed is back, or has a follower, within the shorter.
const SHORTEST_TRANSACTION: Duration = Duration::from_secs(5);
const LONGEST_TRANSACTION: Duration = Duration::from_secs(15);

/// Properties that a key of ours sets.
const OURS: &[(&str, &str)] = &[
    ("bootstrap.servers", "bootstrap-servers"),
    ("metadata.broker.list", "bootstrap-servers"),
    ("client.id", "client-id"),
    ("security.protocol", "security.protocol"),
    ("sasl.mechanism", "security.mechanism"),
    ("sasl.mechanisms", "security.mechanism"),
    ("sasl.username", "security.username"),
    ("sasl.password", "security.password"),
    ("ssl.ca.location", "tls.ca"),
    ("ssl.certificate.location", "tls.cert"),
    ("ssl.key.location", "tls.key"),
    ("socket.timeout.ms", "request-timeout"),
    ("message.timeout.ms", "request-timeout"),
    ("delivery.timeout.ms", "request-timeout"),
    ("session.timeout.ms", "session-timeout"),
    ("heartbeat.interval.ms", "heartbeat-interval"),
    ("compression.codec", "producer.compression"),
    ("compression.type", "producer.compression"),
    ("linger.ms", "producer.linger"),
    ("queue.buffering.max.ms", "producer.linger"),
    ("batch.size", "producer.batch-size"),
    ("queue.buffering.max.kbytes", "producer.buffer-size"),
    ("socket.connection.setup.timeout.ms", "connect-timeout"),
    ("group.id", "group, on the subscription"),
    ("auto.offset.reset", "start, on the subscription"),
];

/// Properties on which a promise rests, and which.
const PROMISED: &[(&str, &str)] = &[
    ("enable.auto.commit", "a message is committed once it is handled, and not before"),
    ("auto.commit.interval.ms", "a message is committed once it is handled, and not before"),
    ("enable.auto.offset.store", "a message is committed once it is handled, and not before"),
    ("enable.idempotence", "what is sent again is not kept twice"),
    ("acks", "what is confirmed is with all in-sync replicas"),
    ("request.required.acks", "what is confirmed is with all in-sync replicas"),
    ("max.in.flight", "messages are kept in the order in which they are sent"),
    ("max.in.flight.requests.per.connection", "messages are kept in the order in which they are sent"),
    ("message.send.max.retries", "what is not confirmed is sent again"),
    ("retries", "what is not confirmed is sent again"),
    ("partitioner", "equal keys go where Java's clients send them"),
    ("isolation.level", "what was aborted is not delivered"),
    ("enable.partition.eof", "its end is nothing that a lane knows of"),
    ("partition.assignment.strategy", "a rebalance takes no more partitions away than it must"),
    ("group.protocol", "a rebalance takes no more partitions away than it must"),
    ("group.remote.assignor", "a rebalance takes no more partitions away than it must"),
    ("group.instance.id", "a host that is gone leaves its partitions to others at once"),
    ("allow.auto.create.topics", "topics are made as `declare` says"),
    ("transactional.id", "the host alone decides what a transaction is"),
    ("transaction.timeout.ms", "what a host that is gone has begun holds nobody up for longer than it must"),
    ("plugin.library.paths", "no other code is loaded"),
    ("test.mock.num.brokers", "messages go to a cluster"),
];

/// What every client of a broker is told.
pub(super) fn common(config: &Config, connect: &Connect) -> Result<ClientConfig, BrokerError> {
    check(config)?;
    let mut all = ClientConfig::new();
    for (key, value) in &config.properties {
        refuse_owned(key)?;
        all.set(key, value);
    }
    let millis = |span: longshore_core::Span| span.get().as_millis().to_string();
    all.set("bootstrap.servers", config.bootstrap_servers.text())
        .set("client.id", &config.client_id)
        .set("security.protocol", config.protocol().word())
        .set("socket.timeout.ms", millis(config.request_timeout))
        .set("socket.connection.setup.timeout.ms", config.connect_timeout.get().as_millis().max(1000).to_string())
        .set("allow.auto.create.topics", "false");
    unless_told(&mut all, "reconnect.backoff.max.ms", RECONNECT);
    unless_told(&mut all, "socket.keepalive.enable", "true");
    unless_told(&mut all, "socket.nagle.disable", "true");
    if let (Some(mechanism), Some(user), Some(password)) = (config.security.mechanism, &config.security.username, &config.security.password)
    {
        all.set("sasl.mechanism", mechanism.word()).set("sasl.username", user).set("sasl.password", password);
    }
    let files = config.tls.files(&connect.folder)?;
    if let Some(ca) = &files.ca {
        all.set("ssl.ca.location", ca.path.display().to_string());
    }
    if let Some((cert, key)) = &files.identity {
        all.set("ssl.certificate.location", cert.path.display().to_string()).set("ssl.key.location", key.path.display().to_string());
    }
    Ok(all)
}

/// Tells a client what nobody has told it in `properties`.
fn unless_told(client: &mut ClientConfig, key: &str, value: &str) {
    if client.get(key).is_none() {
        client.set(key, value);
    }
}

/// What a producer is told besides.
pub(super) fn producer(common: &ClientConfig, config: &Config) -> ClientConfig {
    let mut all = common.clone();
    // With `declare = "none"` whoever publishes first has the brokers make a topic, if they do.
    all.set("allow.auto.create.topics", (config.declare == crate::declare::Declare::None).to_string())
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("message.timeout.ms", config.request_timeout.get().as_millis().to_string())
        .set("linger.ms", config.producer.linger.get().as_millis().to_string())
        .set("batch.size", config.producer.batch_size.bytes().to_string())
        .set("queue.buffering.max.kbytes", config.producer.buffer_size.bytes().div_ceil(1024).max(1).to_string())
        .set("compression.type", config.producer.compression.word());
    // A copy for a retry has headers besides, and the topic has a limit of its own.
    unless_told(&mut all, "message.max.bytes", LARGEST);
    all
}

/// What the producer of a member's transactions is told besides. `name`: that of nobody else, now or ever.
pub(super) fn transactions(common: &ClientConfig, config: &Config, name: &str) -> ClientConfig {
    let timeout = transaction_timeout(config);
    let (most, request) = (timeout.as_millis().to_string(), config.request_timeout.get().min(timeout).as_millis().to_string());
    let mut all = producer(common, config);
    // The client wants nothing in a transaction to take longer than the transaction may.
    all.set("transactional.id", name)
        .set("transaction.timeout.ms", &most)
        .set("message.timeout.ms", &most)
        .set("socket.timeout.ms", request);
    all
}

/// How long a transaction may be open before the brokers end it. Whoever gets the partitions of a host that is gone waits for that: so it is over
/// when they are given away, unless sessions are very short.
pub(super) fn transaction_timeout(config: &Config) -> Duration {
    config.session_timeout.get().clamp(SHORTEST_TRANSACTION, LONGEST_TRANSACTION)
}

/// What a consumer is told besides that reads by itself and commits nothing.
pub(super) fn reader(common: &ClientConfig, group: &str) -> ClientConfig {
    let mut all = common.clone();
    all.set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "earliest");
    // Else a partition that was read empty rests for a second.
    unless_told(&mut all, "fetch.queue.backoff.ms", "10");
    unless_told(&mut all, "queued.max.messages.kbytes", READ_AHEAD);
    all
}

/// What the member of a group is told besides.
pub(super) fn member(common: &ClientConfig, config: &Config, subscribe: &Subscribe, group: &str) -> ClientConfig {
    let mut all = reader(common, group);
    all.set("auto.offset.reset", "error")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", config.session_timeout.get().as_millis().to_string())
        .set("heartbeat.interval.ms", config.heartbeat_interval.get().as_millis().to_string());
    // Partitions that are added are to be noticed soon.
    unless_told(&mut all, "topic.metadata.refresh.interval.ms", "10000");
    unless_told(&mut all, "queued.min.messages", &subscribe.max_in_flight.clamp(1, 10_000).to_string());
    // The client refuses a session that is longer.
    unless_told(&mut all, "max.poll.interval.ms", &config.session_timeout.get().as_millis().max(300_000).to_string());
    all
}

/// Keys that cannot go together.
fn check(config: &Config) -> Result<(), BrokerError> {
    let give_up = |what: String| Err(BrokerError::give_up(what));
    let servers = config.bootstrap_servers.text();
    for server in servers.split(',') {
        if server.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
            return give_up(format!("bootstrap-servers: {server:?} is not a host with a port; write it like localhost:9092"));
        }
    }
    let (security, protocol) = (&config.security, config.protocol());
    let word = protocol.word();
    let user = [security.mechanism.is_some(), security.username.is_some(), security.password.is_some()];
    if protocol.has_user() && user.contains(&false) {
        return give_up(format!("security.protocol {word} needs mechanism, username and password"));
    }
    if !protocol.has_user() && user.contains(&true) {
        return give_up("security: username and password go with a mechanism, and with the protocol SASL_SSL or SASL_PLAINTEXT".into());
    }
    if config.tls.enabled && !protocol.encrypts() {
        return give_up(format!("tls.enabled is true, and security.protocol {word} does not encrypt: take one of them out"));
    }
    config.tls.refuse_idle(protocol.encrypts(), "write security.protocol = \"SSL\" or \"SASL_SSL\"")?;
    if config.heartbeat_interval.get() * 3 > config.session_timeout.get() {
        return give_up(format!(
            "heartbeat-interval {} is more than a third of session-timeout {}: one that is late would cost the partitions",
            config.heartbeat_interval, config.session_timeout
        ));
    }
    Ok(())
}

fn refuse_owned(property: &str) -> Result<(), BrokerError> {
    if let Some((_, key)) = OURS.iter().find(|(name, _)| *name == property) {
        return Err(BrokerError::give_up(format!("properties: {property:?} has a key of its own: {key}")));
    }
    if let Some((_, promise)) = PROMISED.iter().find(|(name, _)| *name == property) {
        return Err(BrokerError::give_up(format!("properties: {property:?} cannot be changed: {promise}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use longshore_core::{Clock, Span};
    use serde_json::{Value, json};

    use super::*;

    fn made(config: Value) -> Result<ClientConfig, BrokerError> {
        let folder = std::path::Path::new(".").into();
        let connect = Connect { name: "default".into(), folder, clock: Clock::system(), admin: None, topics: Vec::new() };
        common(&serde_json::from_value(config).expect("keys that are there"), &connect)
    }

    #[test]
    fn keys_that_cannot_go_together_are_refused() {
        let check = |config: Value, word: &str| {
            let error = made(config).expect_err("it is refused");
            assert!(error.what.contains(word), "{error}");
        };
        check(json!({ "bootstrap-servers": "" }), "localhost:9092");
        check(json!({ "bootstrap-servers": ["a:1", "b"] }), "\"b\"");
        check(json!({ "security": { "protocol": "SASL_SSL" } }), "needs mechanism");
        check(json!({ "security": { "username": "u", "password": "p" } }), "mechanism");
        check(json!({ "security": { "protocol": "SSL", "mechanism": "PLAIN", "username": "u", "password": "p" } }), "SASL_SSL");
        check(json!({ "tls": { "ca": "x" } }), "tls.enabled");
        check(json!({ "tls": { "enabled": true }, "security": { "protocol": "PLAINTEXT" } }), "does not encrypt");
        check(json!({ "security": { "protocol": "SSL" }, "tls": { "cert": "x" } }), "tls.cert");
        check(json!({ "tls": { "enabled": true, "ca": "/no/such/file" } }), "/no/such/file");
        check(json!({ "heartbeat-interval": "11s" }), "a third");
    }

    #[test]
    fn the_protocol_follows_from_what_is_there() {
        let check = |config: Value, word: &str| assert_eq!(made(config).expect("good").get("security.protocol"), Some(word));
        let user = json!({ "mechanism": "PLAIN", "username": "u", "password": "p" });
        check(json!({}), "PLAINTEXT");
        check(json!({ "tls": { "enabled": true } }), "SSL");
        check(json!({ "security": user }), "SASL_PLAINTEXT");
        check(json!({ "tls": { "enabled": true }, "security": user }), "SASL_SSL");
        check(json!({ "security": { "protocol": "SSL" } }), "SSL");
    }

    #[test]
    fn properties_that_have_a_key_or_carry_a_promise_are_refused_by_name() {
        for (property, word) in OURS.iter().chain(PROMISED) {
            let error = made(json!({ "properties": { *property: "1" } })).expect_err("it is refused");
            assert!(error.what.contains(property) && error.what.contains(word), "{error}");
        }
        let all = made(json!({ "properties": { "fetch.max.bytes": "7", "reconnect.backoff.max.ms": "9" } })).expect("passed on");
        assert_eq!((all.get("fetch.max.bytes"), all.get("reconnect.backoff.max.ms")), (Some("7"), Some("9")));
    }

    #[test]
    fn every_property_that_is_set_is_one_of_librdkafka() {
        let config = Config { request_timeout: Span::from_secs(3), ..Config::default() };
        let common = made(json!({})).expect("defaults");
        let subscribe = Subscribe {
            topics: Vec::new(),
            group: None,
            start: longshore_core::Start::Earliest,
            order: longshore_core::Order::None,
            fetch: longshore_core::Fetch { max_messages: 1, max_wait: std::time::Duration::ZERO },
            max_in_flight: 1,
            delays: Vec::new(),
            dedup: None,
            own: longshore_core::OwnKeys::default(),
        };
        let transactions = transactions(&common, &config, "one");
        for all in [producer(&common, &config), transactions, reader(&common, "g"), member(&common, &config, &subscribe, "g")] {
            assert!(all.create_native_config().is_ok());
        }
    }
}
