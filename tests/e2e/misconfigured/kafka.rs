//! Kafka.

use longshore_testkit::servers::tls::Authority;
use longshore_testkit::servers::{self, Kafka};

use super::super::guarded::{start, user};
use super::{Row, broker, check, project, row};

const GRANT: &str = "kafka-acls.sh --add --allow-principal User:NAME --operation OPERATION --topic TOPIC (or --group GROUP); the page of Kafka \
                     says what is needed";

fn at(kafka: &Kafka, more: &str) -> String {
    format!("type = \"kafka\"\nbootstrap-servers = \"{}\"\n{more}", kafka.address())
}

#[test]
fn every_misconfiguration_of_kafka_is_told() {
    let Some((kafka, ours)) = start() else { return };
    let kafka = &kafka;
    let theirs = Authority::new();
    let settings = "[topics.orders]\n[topics.\"payments.dead\"]\n[topics.safe]\nsettings = { \"min.insync.replicas\" = \"2\" }";
    let made = project(&row("what is there", 0, at(kafka, ""), "", settings, &[]));
    ["orders", "payments.dead", "safe"].iter().for_each(|topic| drop(made.ok(&["topics", "create", topic])));
    check(
        &[
            who_we_are(kafka),
            where_it_is(kafka),
            how_it_is_encrypted(kafka, &ours, &theirs),
            what_does_not_fit(kafka),
            what_is_missing(kafka),
        ]
        .concat(),
    );
    let looked = made.ok(&["topics", "list"]);
    assert!(looked.contains("orders") && !looked.lines().any(|line| line.starts_with("payments ")), "a check makes no topic: {looked}");
}

fn who_we_are(kafka: &Kafka) -> Vec<Row<'static>> {
    let wrong = format!(
        "brokers.default: Kafka at 127.0.0.1:{}: Authentication (Local: Authentication failure); check `security`",
        kafka.sasl_port()
    );
    let no_making = "handlers.billing.subscribe[0]: the user of Kafka has no right to create topic \"orders.billing.retry.10s\", create topic \
                     \"orders.billing.retry.1s\"";
    vec![
        broker("a wrong password", 2, user(kafka, "host", "wrong"), &[&wrong]),
        broker("an unknown user", 2, user(kafka, "nobody", "secret"), &[&wrong]),
        broker(
            "a user who may make nothing",
            2,
            user(kafka, "makes-nothing", "secret"),
            &[no_making, "handlers.billing.publish[0]: the user of Kafka has no right to create topic \"payments\"", GRANT],
        ),
        broker(
            "a user who may read nothing",
            2,
            user(kafka, "reads-nothing", "secret"),
            &["handlers.billing.subscribe[0]: the user of Kafka has no right to read topic \"orders\"", GRANT],
        ),
        broker(
            "a user who may read no group",
            2,
            user(kafka, "in-no-group", "secret"),
            &["handlers.billing.subscribe[0]: the user of Kafka has no right to read group \"billing\"", GRANT],
        ),
        row(
            "a user who may write nothing",
            2,
            user(kafka, "writes-nothing", "secret"),
            "dead-letter = { topic = \"payments.dead\" }",
            "",
            &["handlers.billing.subscribe[0].dead-letter: the user of Kafka has no right to write topic \"payments.dead\"", GRANT],
        ),
    ]
}

fn where_it_is(kafka: &Kafka) -> Vec<Row<'static>> {
    let nobody = servers::free_port();
    let unreachable = format!("Kafka at 127.0.0.1:{nobody}: ");
    vec![
        broker("everything is right", 0, at(kafka, ""), &["broker default (kafka): healthy", "no mistakes found"]),
        broker("a user is right", 0, user(kafka, "host", "secret"), &["healthy"]),
        broker(
            "a wrong port",
            3,
            format!("type = \"kafka\"\nbootstrap-servers = \"127.0.0.1:{nobody}\"\nconnect-timeout = \"2s\""),
            &[&unreachable, "see whether the server runs, and whether this is where it is"],
        ),
        broker(
            "an address without a port",
            2,
            "type = \"kafka\"\nbootstrap-servers = \"localhost\"",
            &["bootstrap-servers: \"localhost\" is not a host with a port; write it like localhost:9092"],
        ),
        broker(
            "a user without a password",
            2,
            at(kafka, "security = { mechanism = \"PLAIN\", username = \"host\" }"),
            &["security.protocol SASL_PLAINTEXT needs mechanism, username and password"],
        ),
        broker(
            "a property that a promise rests on",
            2,
            at(kafka, "properties = { acks = \"1\" }"),
            &["properties: \"acks\" cannot be changed: what is confirmed is with all in-sync replicas"],
        ),
    ]
}

fn how_it_is_encrypted(kafka: &Kafka, ours: &Authority, theirs: &Authority) -> Vec<Row<'static>> {
    let over_tls = |port: u16, authority: &Authority, more: &str| {
        let ca = authority.certificate().display();
        format!("type = \"kafka\"\nbootstrap-servers = \"localhost:{port}\"\ntls = {{ enabled = true, ca = \"{ca}\" }}\n{more}")
    };
    let user = "security = { mechanism = \"PLAIN\", username = \"host\", password = \"secret\" }";
    vec![
        broker("everything is right with TLS and a user", 0, over_tls(kafka.sasl_tls_port(), ours, user), &["healthy"]),
        broker(
            "a certificate of somebody else",
            2,
            over_tls(kafka.tls_port(), theirs, ""),
            &["check `tls.ca`, and whether the brokers encrypt at all"],
        ),
        broker(
            "TLS where none is spoken",
            3,
            over_tls(kafka.port(), ours, "connect-timeout = \"2s\""),
            &["connecting to a PLAINTEXT broker listener?"],
        ),
        broker(
            "no TLS where it is spoken",
            3,
            format!("type = \"kafka\"\nbootstrap-servers = \"localhost:{}\"\nconnect-timeout = \"2s\"", kafka.tls_port()),
            &["does not answer: ", "; if its brokers want TLS, set `tls.enabled`"],
        ),
        broker(
            "an authority that nothing uses",
            2,
            at(kafka, "tls = { ca = \"c.pem\" }"),
            &["tls.ca is set, and no TLS is spoken: set tls.enabled = true, or write security.protocol = \"SSL\" or \"SASL_SSL\""],
        ),
    ]
}

fn what_does_not_fit(kafka: &Kafka) -> Vec<Row<'static>> {
    let timeout = "brokers.default.session-timeout: session-timeout is 3s, and the brokers of Kafka take 6000 to 60000 ms";
    let copies = "handlers.billing.publish[0].topic: making topic \"payments\": InvalidReplicationFactor (Broker: Invalid replication factor); there are fewer brokers than \
                  `replication-factor` wants copies";
    let in_sync = "topic \"safe\" of Kafka has 1 copies and wants 2 in sync: nothing can be published to it";
    vec![
        broker("a session that is too short", 2, at(kafka, "session-timeout = \"3s\"\nheartbeat-interval = \"1s\""), &[timeout]),
        row("more copies than brokers", 2, at(kafka, ""), "", "[topics.payments]\nreplication-factor = 3", &[copies]),
        row("fewer copies than must be in sync", 2, at(kafka, ""), "dead-letter = { topic = \"safe\" }", "", &[in_sync]),
    ]
}

fn what_is_missing(kafka: &Kafka) -> Vec<Row<'static>> {
    let (passive, none) = (at(kafka, "declare = \"passive\""), at(kafka, "declare = \"none\""));
    let waiting = "handlers.billing.subscribe[0].retry: retries wait in topics that are not there on Kafka: orders.billing.retry.10s, \
                   orders.billing.retry.1s";
    let must = "handlers.billing.subscribe[0].start: group \"billing\" has no position on topic \"orders\" of Kafka, and start = \"none\" gives \
                it none";
    vec![
        row(
            "topics that are not there",
            2,
            &*passive,
            "",
            "",
            &[
                waiting,
                "kafka-topics.sh --create --topic TOPIC --partitions 1, for each, or write declare = \"create\"",
                "handlers.billing.publish[0].topic: there is no topic \"payments\" on Kafka",
                "kafka-topics.sh --create --topic payments, or write declare = \"create\"",
            ],
        ),
        row(
            "topics that nobody makes",
            2,
            &*none,
            "",
            "",
            &[waiting, "there is no topic \"payments\" on Kafka, and its brokers make none by themselves"],
        ),
        row("a group that must be there", 2, at(kafka, ""), "start = \"none\"", "", &[must]),
    ]
}
