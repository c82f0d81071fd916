//! A Kafka with TLS, users and rights, which makes no topic by itself; one for most tests that need such, since it takes seconds to start.
//! `None`: not installed, skip the test.

use std::sync::LazyLock;

use longshore_testkit::servers::Operation::{Create, Delete, DescribeConfigs, Read, Write};
use longshore_testkit::servers::Resource::{Group, Topic, Topics, Transactions};
use longshore_testkit::servers::tls::Authority;
use longshore_testkit::servers::{Kafka, KafkaOptions};

/// A server for whoever counts its topics.
pub(crate) fn start() -> Option<(Kafka, Authority)> {
    let authority = Authority::new();
    let options = KafkaOptions::default().tls(&authority).with_rights().set("auto.create.topics.enable", "false");
    let options = options.set("group.min.session.timeout.ms", "6000").set("group.max.session.timeout.ms", "60000");
    let users = ["host", "makes-nothing", "reads-nothing", "writes-nothing", "in-no-group"];
    let kafka = Kafka::start(&users.iter().fold(options, |options, user| options.user(user, "secret")))?;
    permit(&kafka);
    Some((kafka, authority))
}

/// The same for whoever does not.
pub(crate) fn guarded() -> Option<(&'static Kafka, &'static Authority)> {
    static SHARED: LazyLock<Option<(Kafka, Authority)>> = LazyLock::new(start);
    SHARED.as_ref().map(|(kafka, authority)| (kafka, authority))
}

/// `host` may what the page of Kafka says for `declare = "create"`.
fn permit(kafka: &Kafka) {
    kafka.permit("host", Topics("orders"), &[Read, Write, Create, DescribeConfigs, Delete]);
    kafka.permit("host", Topic("payments"), &[Write, Create]);
    for group in [Group("billing"), Group("longshore-removed")] {
        kafka.permit("host", group, &[Read]);
    }
    kafka.permit("host", Transactions("longshore-removed-"), &[Write]);
    for (user, may) in [
        ("makes-nothing", &[Read, Write, DescribeConfigs][..]),
        ("reads-nothing", &[Write, Create, DescribeConfigs]),
        ("writes-nothing", &[Read, Create, DescribeConfigs]),
        ("in-no-group", &[Read, Write, Create, DescribeConfigs]),
    ] {
        ["orders", "payments"].iter().for_each(|topic| kafka.permit(user, Topics(topic), may));
        if user != "in-no-group" {
            kafka.permit(user, Group("billing"), &[Read]);
        }
    }
}

/// The keys of a broker that a user comes to.
pub(crate) fn user(kafka: &Kafka, name: &str, password: &str) -> String {
    let security = format!("mechanism = \"SCRAM-SHA-256\", username = \"{name}\", password = \"{password}\"");
    format!("type = \"kafka\"\nbootstrap-servers = \"127.0.0.1:{}\"\nsecurity = {{ {security} }}", kafka.sasl_port())
}
