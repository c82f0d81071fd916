//! The orders example and the bridge, on every broker that they are shown with: a configuration file is swapped, nothing else.

use std::path::Path;
use std::process::Command;

use longshore_testkit::servers;

use super::host::{eventually, text};

/// Runs a command in an example's folder.
fn longshore(example: &str, servers: &[(&str, &str)], arguments: &[&str]) -> (bool, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(example);
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    command.args(arguments).args(["--set", "admin.listen=127.0.0.1:0"]).current_dir(folder).envs(servers.iter().copied());
    let output = command.output().unwrap();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn the_bridge_passes_orders_on_from_rabbitmq_to_jetstream() {
    let (Some(rabbit), Some(nats)) = (servers::rabbitmq(), servers::nats()) else { return };
    let (rabbit, nats) = (rabbit.url(), nats.url());
    let run = |arguments: &[&str]| {
        let (good, told) = longshore("bridge", &[("RABBITMQ_URL", &rabbit), ("NATS_URL", &nats)], arguments);
        assert!(good, "{arguments:?}: {told}");
        told
    };
    run(&["check", "--connect"]);
    run(&["topics", "create", "orders"]);
    run(&["publish", "orders", "first", "--key", "k"]);
    run(&["run", "--until-idle"]);
    let passed = run(&["consume", "orders", "--broker", "events", "--from-start"]);
    assert!(passed.contains(r#""payload":"first""#) && passed.contains(r#""key":"k""#), "{passed}");
}

/// Of 300 orders 8 cannot be paid.
fn orders_become_payments(env: &str, server: (&str, &str)) {
    let run = |arguments: &[&str]| {
        let (good, told) = longshore("orders", &[server], &[arguments, &["--env", env]].concat());
        assert!(good, "{arguments:?}: {told}");
        told
    };
    run(&["build"]);
    run(&["check", "--connect"]);
    run(&["topics", "create", "orders"]);
    run(&["publish", "--from", "input.jsonl"]);
    run(&["run", "--until-idle"]);
    let mut payments = 0;
    eventually("292 payments", || {
        payments += run(&["consume", "payments", "--group", "books", "--from-start", "--count", "292"]).lines().count();
        payments >= 292
    });
    assert_eq!(payments, 292, "each order is paid once");
    let dead = run(&["consume", "orders.billing.dlq", "--group", "clerk", "--from-start", "--count", "8"]);
    assert_eq!(dead.lines().count(), 8, "{dead}");
}

#[test]
fn orders_become_payments_on_redis() {
    let Some(redis) = servers::Redis::start(&servers::RedisOptions::default()) else { return };
    orders_become_payments("redis", ("REDIS_URL", &redis.url()));
}

#[test]
fn orders_become_payments_on_rabbitmq() {
    let Some(rabbit) = servers::RabbitMq::start(&servers::RabbitMqOptions::default()) else { return };
    orders_become_payments("rabbitmq", ("RABBITMQ_URL", &rabbit.url()));
}

#[test]
fn orders_become_payments_on_jetstream() {
    let Some(nats) = servers::Nats::start(&servers::NatsOptions::default()) else { return };
    orders_become_payments("nats", ("NATS_URL", &nats.url()));
}
