//! Who is trusted: the system's authorities, and in their place the one that `tls.ca` names. On every broker the same.

use longshore_testkit::servers::tls::Authority;
use longshore_testkit::servers::{Nats, NatsOptions, Redis, RedisOptions};

use super::guarded::guarded;
use super::host::{Project, text};
use super::rabbit::secured;

/// Whether `check --connect` gets in, and what it says, where `system` is what the system trusts.
fn connects(broker: &str, system: &Authority, ca: Option<&Authority>) -> (bool, String) {
    let ca = ca.map(|authority| format!(", ca = \"{}\"", authority.certificate().display())).unwrap_or_default();
    let project = Project::new(&format!("[brokers.default]\n{broker}\ntls = {{ enabled = true{ca} }}\n"));
    let mut command = project.command(&["check", "--connect"]);
    let output = command.env("SSL_CERT_FILE", system.certificate()).env_remove("SSL_CERT_DIR").output().unwrap();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

fn check(broker: &str, ours: &Authority) {
    let theirs = Authority::new();
    for (system, ca, gets_in) in [(ours, None, true), (&theirs, None, false), (&theirs, Some(ours), true), (ours, Some(&theirs), false)] {
        let (is_in, told) = connects(broker, system, ca);
        assert_eq!(is_in, gets_in, "{broker}: ca {:?}: {told}", ca.map(Authority::certificate));
        assert!(is_in || told.contains("tls.ca"), "{broker}: {told}");
    }
}

#[test]
fn an_authority_that_is_named_is_trusted_in_place_of_the_systems_on_redis() {
    let ours = Authority::new();
    let Some(redis) = Redis::start(&RedisOptions::default().tls(&ours)) else { return };
    check(&format!("type = \"redis-streams\"\nhost = \"localhost\"\nport = {}", redis.tls_port()), &ours);
}

#[test]
fn an_authority_that_is_named_is_trusted_in_place_of_the_systems_on_rabbitmq() {
    let Some((rabbit, ours)) = secured() else { return };
    check(&format!("type = \"rabbitmq\"\nhost = \"localhost\"\nport = {}", rabbit.tls_port()), ours);
}

#[test]
fn an_authority_that_is_named_is_trusted_in_place_of_the_systems_on_jetstream() {
    let ours = Authority::new();
    let Some(nats) = Nats::start(&NatsOptions::default().tls(&ours)) else { return };
    check(&format!("type = \"nats-jetstream\"\nurl = \"tls://localhost:{}\"", nats.port()), &ours);
}

#[test]
fn an_authority_that_is_named_is_trusted_in_place_of_the_systems_on_kafka() {
    let Some((kafka, ours)) = guarded() else { return };
    check(&format!("type = \"kafka\"\nbootstrap-servers = \"localhost:{}\"", kafka.tls_port()), ours);
}
