//! A server that refuses the host for good, such as for a wrong password: `run` says so at once, where it is configured, and ends; it does not try
//! again and again. So do commands that open the broker themselves.

use std::time::{Duration, Instant};

use longshore_testkit::servers::{Nats, NatsOptions, Redis, RedisOptions};

use super::guarded::{self, guarded};
use super::host::{Project, text};
use super::misconfigured::squeeze;
use super::rabbit::secured;

/// How long it may take: one try, and no wait for another.
const SOON: Duration = Duration::from_secs(20);

fn is_refused(broker: &str, says: &str) {
    let handler = "component = \"longshore:pass-through\"\noutput = \"out\"\npublish = [\"out\"]\nsubscribe = [{ topic = \"in\" }]";
    let project = Project::new(&format!("[brokers.default]\n{broker}\n[handlers.h]\n{handler}\n"));
    for command in [&["run"][..], &["publish", "in", "payload"]] {
        let began = Instant::now();
        let output = project.run(command);
        let told = text(&output.stdout) + &text(&output.stderr);
        let took = began.elapsed();
        assert!(output.status.code() == Some(2) && took < SOON, "{command:?}: exit {:?} after {took:?}\n{told}", output.status.code());
        let squeezed = squeeze(&told);
        for word in ["longshore.toml:1", "brokers.default", says] {
            assert!(squeezed.contains(&squeeze(word)), "{command:?} does not say {word:?}:\n{told}");
        }
        assert!(!told.contains("not the password"), "{command:?} shows the password:\n{told}");
    }
}

#[test]
fn a_wrong_password_for_redis_ends_the_host_at_once() {
    let Some(redis) = Redis::start(&RedisOptions::default().password("secret")) else { return };
    let to = format!("host = \"127.0.0.1\"\nport = {}\npassword = \"not the password\"", redis.port());
    for kind in ["redis-streams", "redis-list", "redis-pubsub"] {
        is_refused(&format!("type = \"{kind}\"\n{to}"), "check username and password");
    }
}

#[test]
fn a_wrong_password_for_rabbitmq_ends_the_host_at_once() {
    let Some((rabbit, _)) = secured() else { return };
    let to = format!("host = \"127.0.0.1\"\nport = {}\npassword = \"not the password\"", rabbit.port());
    is_refused(&format!("type = \"rabbitmq\"\n{to}"), "wrong username or password");
}

#[test]
fn a_wrong_password_for_nats_ends_the_host_at_once() {
    let Some(nats) = Nats::start(&NatsOptions::default().user("all", "secret", "")) else { return };
    for kind in ["nats-jetstream", "nats"] {
        let to = format!("type = \"{kind}\"\nurl = \"{}\"\nuser = \"all\"\npassword = \"not the password\"", nats.url());
        is_refused(&to, "check user, password");
    }
}

#[test]
fn a_wrong_password_for_kafka_ends_the_host_at_once() {
    let Some((kafka, _)) = guarded() else { return };
    is_refused(&guarded::user(kafka, "host", "not the password"), "check `security`");
}

/// What no other configuration mends is no mistake in it.
#[test]
fn a_damaged_database_is_a_failure_and_no_wrong_use() {
    let project = Project::new(
        "[handlers.h]\ncomponent = \"longshore:pass-through\"\nsubscribe = [{ topic = \"in\" }]\noutput = \"out\"\npublish = [\"out\"]\n",
    );
    project.ok(&["publish", "in", "payload"]);
    let path = project.path().join("longshore.db");
    let mut bytes = std::fs::read(&path).expect("the database is there");
    bytes[100..4096].fill(0xa5);
    std::fs::write(&path, bytes).expect("it can be written");
    for command in [&["run"][..], &["publish", "in", "payload"], &["check", "--connect"]] {
        let told = project.fails(1, command);
        assert!(squeeze(&told).contains(&squeeze("the database is damaged")) && told.contains("longshore.db"), "{command:?}: {told}");
    }
}
