//! RabbitMQ.

use longshore_testkit::servers::tls::Authority;
use longshore_testkit::servers::{self, RabbitMq};

use super::super::rabbit::secured;
use super::{Row, broker, check, project, row};

const GRANT: &str = "rabbitmqctl set_permissions -p VHOST USER CONFIGURE WRITE READ; the page of RabbitMQ says what is needed";

fn at(rabbit: &RabbitMq, more: &str) -> String {
    format!("type = \"rabbitmq\"\nhost = \"127.0.0.1\"\nport = {}\n{more}", rabbit.port())
}

fn user(rabbit: &RabbitMq, name: &str) -> String {
    at(rabbit, &format!("username = \"{name}\"\npassword = \"secret\""))
}

#[test]
fn every_misconfiguration_of_rabbitmq_is_told() {
    let Some((rabbit, ours)) = secured() else { return };
    let theirs = Authority::new();
    let settings = "[topics.orders]\n[topics.fan]\nexchange = \"fan\"\nexchange-type = \"fanout\"";
    let made = project(&row("what is there", 0, at(rabbit, ""), "", settings, &[]));
    ["orders", "fan"].iter().for_each(|topic| drop(made.ok(&["topics", "create", topic])));
    check(&[who_we_are(rabbit), where_it_is(rabbit, ours, &theirs), what_does_not_fit(rabbit), what_is_missing(rabbit)].concat());
    let looked = made.ok(&["topics", "list"]);
    assert!(looked.contains("orders") && !looked.contains("payments"), "a check makes no queue: {looked}");
}

fn who_we_are(rabbit: &RabbitMq) -> Vec<Row<'static>> {
    let wrong =
        format!("brokers.default: RabbitMQ at 127.0.0.1:{}, vhost \"/\", user \"guest\": wrong username or password", rabbit.port());
    let no_vhost = "vhost nowhere not found; name a `vhost` that is there and that the user may enter";
    let no_making = "the user of RabbitMQ has no right to configure queue \"orders\", configure queue \"orders.retry.1s\", configure queue \
                     \"orders.retry.200ms\", configure queue \"orders.retry.2s\", configure queue \"orders.retry.500ms\"";
    vec![
        broker("a wrong password", 2, at(rabbit, "password = \"wrong\""), &[&wrong]),
        broker("a vhost that is not there", 2, at(rabbit, "vhost = \"nowhere\""), &[no_vhost]),
        broker(
            "a vhost that the user may not enter",
            2,
            at(rabbit, "vhost = \"locked\""),
            &["name a `vhost` that is there and that the user may enter"],
        ),
        broker(
            "a user who may make nothing",
            2,
            user(rabbit, "makes-nothing"),
            &[no_making, "handlers.billing.publish[0]: the user of RabbitMQ has no right to configure queue \"payments\"", GRANT],
        ),
        broker(
            "a user who may read nothing",
            2,
            user(rabbit, "reads-nothing"),
            &["handlers.billing.subscribe[0]: the user of RabbitMQ has no right to read queue \"orders\"", GRANT],
        )
        .ends_run(),
        broker(
            "a user who may write nothing",
            2,
            user(rabbit, "writes-nothing"),
            &[
                "handlers.billing.subscribe[0]: the user of RabbitMQ has no right to write exchange \"amq.default\"",
                "handlers.billing.publish[0]: the user of RabbitMQ has no right to write exchange \"amq.default\"",
                GRANT,
            ],
        ),
    ]
}

fn where_it_is(rabbit: &RabbitMq, ours: &Authority, theirs: &Authority) -> Vec<Row<'static>> {
    let nobody = servers::free_port();
    let unreachable = format!("RabbitMQ at localhost:{nobody}, vhost \"/\", user \"guest\": ");
    let over_tls = |authority: &Authority| {
        let ca = authority.certificate().display();
        format!("type = \"rabbitmq\"\nhost = \"localhost\"\nport = {}\ntls = {{ enabled = true, ca = \"{ca}\" }}", rabbit.tls_port())
    };
    let twice = "`url` and `host` say the same thing twice: keep one of the two forms";
    vec![
        broker("everything is right", 0, at(rabbit, ""), &["broker default (rabbitmq): healthy", "no mistakes found"]),
        broker("everything is right over TLS", 0, over_tls(ours), &["healthy"]),
        broker(
            "a wrong port",
            3,
            format!("type = \"rabbitmq\"\nport = {nobody}"),
            &[&unreachable, "see whether the server runs, and whether this is where it is"],
        ),
        broker(
            "a url that is none",
            2,
            "type = \"rabbitmq\"\nurl = \"amqp//mq\"",
            &["`url` is no AMQP url", "write amqp://user:password@host:5672/vhost"],
        ),
        broker("a url and a host", 2, "type = \"rabbitmq\"\nurl = \"amqp://mq\"\nhost = \"mq\"", &[twice]),
        broker(
            "a certificate of somebody else",
            2,
            over_tls(theirs),
            &["the server's certificate is not trusted", "name its authority under `tls.ca`"],
        ),
        broker(
            "an authority that nothing uses",
            2,
            at(rabbit, "tls = { ca = \"c.pem\" }"),
            &["tls.ca is set, and no TLS is spoken: set tls.enabled = true, or write a url with amqps://"],
        ),
    ]
}

fn what_does_not_fit(rabbit: &RabbitMq) -> Vec<Row<'static>> {
    let good = at(rabbit, "");
    let priority = "queue \"orders\" is there already with another `max-priority`";
    let advice = "write the same `max-priority` under [topics.<topic>], or delete it if it may go, or write `declare = \"passive\"`";
    let order = "write `single-active-consumer = true`, or `order = \"none\"`";
    vec![
        row("a priority that the queue has not", 2, &*good, "", "[topics.orders]\nmax-priority = 5", &[priority, advice]).ends_run(),
        row(
            "a queue of another type",
            2,
            &*good,
            "",
            "[topics.orders]\nqueue-type = \"quorum\"",
            &["queue \"orders\" is there already with another `queue-type`"],
        ),
        row(
            "an exchange of another type",
            2,
            &*good,
            "exchange = \"fan\", exchange-type = \"direct\", group = \"other\"",
            "",
            &["exchange \"fan\" is there already with another `exchange-type`"],
        )
        .ends_run(),
        row(
            "a broadcast of a queue",
            2,
            &*good,
            "mode = \"broadcast\"",
            "",
            &["topic \"orders\" is a queue, which cannot be broadcast: name an `exchange` in the subscription or under [topics.<topic>]"],
        ),
        row("the newest of a queue", 2, &*good, "start = \"latest\"", "", &["a queue begins with its oldest message"]),
        row("an order that no host keeps alone", 2, &*good, "order = \"key\"", "", &[order]),
    ]
}

fn what_is_missing(rabbit: &RabbitMq) -> Vec<Row<'static>> {
    let (passive, none) = (at(rabbit, "declare = \"passive\""), at(rabbit, "declare = \"none\""));
    let waiting = "handlers.billing.subscribe[0].retry: retries wait in queues that are not there on RabbitMQ: orders.retry.200ms, \
                   orders.retry.500ms, orders.retry.1s, orders.retry.2s";
    let must =
        "handlers.billing.subscribe[0].start: the queue \"orders.billing\" is not there on RabbitMQ, and start = \"none\" makes none";
    vec![
        row(
            "a queue that is not there",
            2,
            &*passive,
            "group = \"g\", exchange = \"fan\", exchange-type = \"fanout\"",
            "",
            &[
                "handlers.billing.subscribe[0].topic: there is no queue \"orders.g\" on RabbitMQ",
                "make it, or write declare = \"create\" in the broker's table",
                "handlers.billing.publish[0].topic: there is no queue \"payments\" on RabbitMQ",
            ],
        ),
        row("queues for retries that are not there", 2, &*none, "", "", &[waiting]),
        row(
            "an exchange that is not there",
            2,
            &*passive,
            "exchange = \"gone\"",
            "",
            &["handlers.billing.subscribe[0].exchange: there is no exchange \"gone\" on RabbitMQ"],
        )
        .ends_run(),
        row("a group that must be there", 2, at(rabbit, ""), START_NONE, "", &[must]).ends_run(),
    ]
}

/// A queue of its own that is not made.
const START_NONE: &str = "exchange = \"fan\", exchange-type = \"fanout\", start = \"none\"";
