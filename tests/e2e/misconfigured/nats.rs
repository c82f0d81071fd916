//! NATS JetStream.

use longshore_testkit::servers::tls::Authority;
use longshore_testkit::servers::{self, Nats, NatsOptions};
use serde_json::json;

use super::super::jetstream::{ask, consumer, stream};
use super::{Row, broker, check, row};

const GRANT: &str = "give it the permissions that the page of NATS lists";

/// A server with everything that rows need.
fn server() -> Option<Nats> {
    let hears = "subscribe: [\"_INBOX.>\", \"longshore-members.>\", \"longshore-purged.>\"]";
    let most = "\"$JS.API.>\", \"$JS.ACK.>\", \"$SYS.REQ.USER.INFO\", \"_INBOX.>\", \"longshore-retries.>\", \"longshore-members.>\"";
    let options = NatsOptions::default().user("all", "secret", "");
    let options = options.user("no-payments", "secret", &format!("publish: [{most}, \"orders.>\", \"orders\"], {hears}"));
    let options = options.user("no-api", "secret", &format!("publish: [\"$JS.API.INFO\", \"$SYS.REQ.USER.INFO\"], {hears}"));
    let options = options.user("no-answers", "secret", "subscribe: [\"orders\"]");
    Nats::start(&options.user("silent", "secret", &format!("publish: {{ deny: [\"$SYS.REQ.USER.INFO\"] }}, {hears}")))
}

fn at(nats: &Nats, more: &str) -> String {
    format!("type = \"nats-jetstream\"\nurl = \"{}\"\n{more}", nats.url())
}

fn user(nats: &Nats, name: &str, more: &str) -> String {
    at(nats, &format!("user = \"{name}\"\npassword = \"secret\"\n{more}"))
}

#[test]
fn every_misconfiguration_of_jetstream_is_told() {
    let Some(nats) = server() else { return };
    check(&[who_we_are(&nats), what_we_may(&nats), what_is_missing(&nats)].concat());
    let streams = ask(nats.port(), "$JS.API.STREAM.NAMES", &json!({}));
    assert_eq!(streams["total"], 0, "a check makes nothing: {streams}");
    make_consumers(nats.port());
    check(&consumers(&nats));
}

fn who_we_are(nats: &Nats) -> Vec<Row<'static>> {
    let nobody = servers::free_port();
    let unreachable = format!("brokers.default: NATS at nats://127.0.0.1:{nobody} cannot be reached: ");
    let refused = format!("brokers.default: NATS at nats://127.0.0.1:{} does not let us in: ", nats.port());
    let plain =
        format!("brokers.default: NATS at nats://127.0.0.1:{} speaks no TLS: take `tls` out, or let the server speak it", nats.port());
    let one_way = "user, token, credentials-file and nkey are different ways to say who we are: keep one";
    vec![
        broker("everything is right", 0, user(nats, "all", ""), &["broker default (nats-jetstream): healthy", "no mistakes found"]),
        broker("a wrong password", 2, at(nats, "user = \"all\"\npassword = \"wrong\""), &[&refused]),
        broker("nobody's name", 2, at(nats, ""), &[&refused, "check user, password, token, nkey or credentials-file"]),
        broker("a user without a password", 2, at(nats, "user = \"all\""), &["user and password go together: one of them is missing"]),
        broker("two ways to say who we are", 2, user(nats, "all", "token = \"t\""), &[one_way]),
        broker(
            "credentials that are not there",
            2,
            at(nats, "credentials-file = \"no.creds\""),
            &["credentials-file ", "no.creds: No such file"],
        ),
        broker(
            "a wrong port",
            3,
            format!("type = \"nats-jetstream\"\nurl = \"nats://127.0.0.1:{nobody}\""),
            &[&unreachable, "see whether the server runs, and whether this is where it is"],
        ),
        broker("TLS where none is spoken", 2, user(nats, "all", "tls = { enabled = true }"), &[&plain]),
    ]
}

fn what_we_may(nats: &Nats) -> Vec<Row<'static>> {
    vec![
        broker(
            "a user without the topic to publish to",
            2,
            user(nats, "no-payments", ""),
            &["handlers.billing.publish[0]: the user of NATS has no right to publish to payments", GRANT],
        ),
        broker(
            "a user who may ask JetStream nothing",
            2,
            user(nats, "no-api", ""),
            &["the user has no right to publish to \"$JS.API.STREAM.INFO.longshore-retries\"", "see the page of NATS for what is needed"],
        ),
        broker(
            "a user who cannot hear answers",
            2,
            user(nats, "no-answers", ""),
            &["the user has no right to subscribe to \"_INBOX.>\", where answers come"],
        ),
        broker(
            "a user whose rights are not told",
            0,
            user(nats, "silent", ""),
            &[
                "brokers.default: NATS does not tell what the user may do, so that a missing right may show only later",
                "let the user publish to $SYS.REQ.USER.INFO",
            ],
        ),
    ]
}

fn what_is_missing(nats: &Nats) -> Vec<Row<'static>> {
    let (passive, none) = (user(nats, "all", "declare = \"passive\""), user(nats, "all", "declare = \"none\""));
    let good = user(nats, "all", "");
    vec![
        broker(
            "a stream that is not there",
            2,
            &*passive,
            &[
                "handlers.billing.subscribe[0].topic: no stream of NATS takes \"orders\"",
                "nats stream add NAME --subjects 'orders', or write declare = \"create\"",
                "there is no stream \"longshore-retries\" on NATS, which keeps retries",
                "handlers.billing.publish[0].topic: no stream of NATS takes \"payments\"",
            ],
        ),
        row(
            "a named stream that is not there",
            2,
            &*none,
            "stream = \"ORDERS\"",
            "",
            &[
                "handlers.billing.subscribe[0].stream: there is no stream \"ORDERS\" on NATS",
                "nats stream add ORDERS --subjects 'orders', or write declare = \"create\"",
            ],
        )
        .ends_run(),
        row(
            "a group that no consumer can be called",
            2,
            &*good,
            "group = \"a.b\"",
            "",
            &["the consumer is named after the group: give it a name without dots"],
        ),
        row(
            "a lease that is too short",
            2,
            &*good,
            "lease = \"10ms\"",
            "",
            &["is shorter than a second", "give it at least 1s; 30s is usual"],
        ),
    ]
}

/// Somebody else's streams and consumers.
fn make_consumers(port: u16) {
    stream(port, "ORDERS", json!({ "subjects": ["orders", "orders.billing.dlq", "bills"] }));
    stream(port, "PAYMENTS", json!({ "subjects": ["payments"], "duplicate_window": 5_000_000_000_u64 }));
    stream(port, "longshore-retries", json!({ "subjects": ["longshore-retries.>"] }));
    for (name, keys) in [
        ("fits", json!({ "filter_subject": "orders" })),
        ("short", json!({ "filter_subject": "orders", "ack_wait": 2_000_000_000_u64 })),
        ("gives-up", json!({ "filter_subject": "orders", "max_deliver": 3 })),
        ("bills", json!({ "filter_subject": "bills" })),
        ("acks-nothing", json!({ "filter_subject": "orders", "ack_policy": "none" })),
    ] {
        consumer(port, "ORDERS", name, keys);
        let copies = format!("longshore-retries.ORDERS.{name}.>");
        consumer(port, "longshore-retries", &format!("{name}@ORDERS"), json!({ "filter_subject": copies }));
    }
}

fn consumers(nats: &Nats) -> Vec<Row<'static>> {
    let (passive, none) = (user(nats, "all", "declare = \"passive\""), user(nats, "all", "declare = \"none\""));
    let good = user(nats, "all", "");
    let short =
        "consumer \"short\" of stream \"ORDERS\" has an ack wait of 2s, and `lease` is 30s, shorter than the 5s that a call may take";
    let bills = "consumer \"bills\" of stream \"ORDERS\" takes bills, and the subscription wants orders: give each subscription a `group` of its own";
    let missing = "handlers.billing.subscribe[0].group: there is no consumer \"billing\" of stream \"ORDERS\" on NATS";
    let make = "nats consumer add ORDERS billing --pull --ack explicit --max-deliver=-1, or write declare = \"create\"";
    let must =
        "handlers.billing.subscribe[0].start: there is no consumer \"billing\" of stream \"ORDERS\", and start = \"none\" makes none";
    let taken = "it is taken as it is, and what is held is extended in time";
    let gives_up = "gives up after max-deliver = 3, and the host counts attempts";
    let careless = "does not acknowledge one by one; delete it, or take another `group`";
    let edit = "change it with `nats consumer edit`, or write declare = \"create\"";
    vec![
        row("a consumer that fits", 0, &*passive, "group = \"fits\"", "dead-letter = false", &["healthy"]),
        row(
            "a stream that forgets ids before their messages can come again",
            0,
            &*passive,
            "group = \"fits\"",
            "dead-letter = false",
            &[
                "handlers.billing.publish[0]: stream \"PAYMENTS\" of NATS remembers ids for 5s",
                "nats stream edit PAYMENTS --dupe-window 2m",
            ],
        ),
        row("an ack wait below the deadline", 2, &*passive, "group = \"short\"", "", &[short, edit]),
        row("the same, taken as it is", 0, &*none, "group = \"short\"", "dead-letter = false", &[short, taken]),
        row("a consumer that gives up", 2, &*passive, "group = \"gives-up\"", "", &[gives_up]).ends_run(),
        row("a consumer of other topics", 2, &*good, "group = \"bills\"", "", &[bills]),
        row("a consumer that acknowledges nothing", 2, &*good, "group = \"acks-nothing\"", "", &[careless]),
        row("a consumer that is not there", 2, &*none, "", "", &[missing, make]).ends_run(),
        row("a consumer that must be there", 2, &*good, "start = \"none\"", "", &[must]),
        row(
            "a stream that takes other topics",
            2,
            &*good,
            "stream = \"PAYMENTS\"",
            "",
            &["stream \"PAYMENTS\" of NATS takes payments, and not orders"],
        ),
    ]
}

#[test]
fn a_nats_without_jetstream_and_foreign_certificates_are_told() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let line = "accounts { A: { users: [{ user: me, password: secret }] } }";
    let Some(off) = Nats::start(&NatsOptions::default().line(line)) else { return };
    let Some(encrypted) = Nats::start(&NatsOptions::default().tls(&ours).token("secret")) else { return };
    let with = |ca: &Authority, more: &str| {
        let ca = ca.certificate().display();
        format!("type = \"nats-jetstream\"\nurl = \"tls://localhost:{}\"\ntls = {{ ca = \"{ca}\" }}\n{more}", encrypted.port())
    };
    check(&[
        broker(
            "an account without JetStream",
            2,
            format!("type = \"nats-jetstream\"\nurl = \"{}\"\nuser = \"me\"\npassword = \"secret\"", off.url()),
            &["JetStream is off on this server, or for this account; start the server with `-js`"],
        ),
        broker("a token over TLS", 0, with(&ours, "token = \"secret\""), &["healthy"]),
        broker("a wrong token", 2, with(&ours, "token = \"wrong\""), &["does not let us in"]),
        broker(
            "a certificate of somebody else",
            2,
            with(&theirs, "token = \"secret\""),
            &["cannot be trusted: IO error: invalid peer certificate: ", "check `tls.ca`"],
        ),
        broker(
            "an nkey that is none",
            2,
            with(&ours, "nkey = \"SUNOSEED\""),
            &["does not let us in", "check user, password, token, nkey or credentials-file"],
        ),
        broker(
            "an authority that nothing uses",
            2,
            "type = \"nats-jetstream\"\ntls = { ca = \"c.pem\" }",
            &["tls.ca is set, and no TLS is spoken: set tls.enabled = true, or write a url with tls://"],
        ),
    ]);
}

#[test]
fn every_misconfiguration_of_core_nats_is_told() {
    let options = NatsOptions::default().user("all", "secret", "");
    let options = options.user("deaf", "secret", "subscribe: [\"_INBOX.>\", \"payments\"]");
    let Some(nats) = Nats::start(&options.user("mute", "secret", "publish: [\"$SYS.REQ.USER.INFO\", \"orders\"]")) else { return };
    let at = |port: u16, user: &str, password: &str| {
        format!("type = \"nats\"\nurl = \"nats://127.0.0.1:{port}\"\nuser = \"{user}\"\npassword = \"{password}\"")
    };
    let (port, nobody) = (nats.port(), servers::free_port());
    let no_hearing = "handlers.billing.subscribe[0]: the user of NATS has no right to subscribe to orders";
    let no_speaking = "handlers.billing.publish[0]: the user of NATS has no right to publish to payments";
    let refused = format!("brokers.default: NATS at nats://127.0.0.1:{port} does not let us in: ");
    let unreachable = format!("brokers.default: NATS at nats://127.0.0.1:{nobody} cannot be reached: ");
    check(&[
        broker("everything is right", 0, at(port, "all", "secret"), &["broker default (nats): healthy", "no mistakes found"]),
        broker("a wrong password", 2, at(port, "all", "wrong"), &[&refused]),
        broker("a port on which nobody listens", 3, at(nobody, "all", "secret"), &[&unreachable]),
        broker("a user who may not hear", 2, at(port, "deaf", "secret"), &[no_hearing, GRANT]),
        broker("a user who may not publish", 2, at(port, "mute", "secret"), &[no_speaking, GRANT]),
    ]);
}
