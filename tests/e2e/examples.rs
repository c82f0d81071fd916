//! The orders example and the bridge, on every broker that they are shown with: a configuration file is swapped, nothing else.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use longshore_testkit::servers;

use super::host::{eventually, text, within};

/// A command in an example's folder.
fn command(example: &str, servers: &[(&str, &str)], arguments: &[&str]) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(example);
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    command.args(arguments).args(["--set", "admin.listen=127.0.0.1:0"]).current_dir(folder).envs(servers.iter().copied());
    command
}

/// Runs it.
fn longshore(example: &str, servers: &[(&str, &str)], arguments: &[&str]) -> (bool, String) {
    let output = command(example, servers, arguments).output().unwrap();
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
    within(RETRIES, "292 payments", || {
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

#[test]
fn orders_become_payments_on_kafka() {
    let Some(kafka) = servers::kafka() else { return };
    orders_become_payments("kafka", ("KAFKA_BOOTSTRAP_SERVERS", &kafka.address()));
}

/// A host on an example. Killed when dropped.
struct Running(Child);

impl Running {
    fn start(example: &str, server: (&str, &str), arguments: &[&str]) -> Self {
        Running(command(example, &[server], arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Asks it to end, and says whether it did well.
    fn end(&mut self) -> bool {
        let asked = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        asked.success() && self.0.wait().unwrap().success()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The payloads that a group is given of a topic; none while the server is away.
fn taken(env: &str, server: (&str, &str), topic: &str) -> BTreeSet<String> {
    let arguments = ["consume", topic, "--group", "books", "--from-start", "--count", "300", "--env", env];
    let output = command("orders", &[server], &arguments).output().unwrap();
    let lines = text(&output.stdout);
    lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["payload"].to_string()).collect()
}

/// How long five attempts may take with 37 seconds between them, and queues on RabbitMQ that are used three seconds after they are made.
const RETRIES: Duration = Duration::from_secs(180);

/// Whatever the bank refuses at first is tried again after two seconds: long after the server was stopped. `more` are further arguments.
fn the_numbers_add_up(env: &str, server: (&str, &str), process: &servers::Server, more: &[&str]) {
    let slowly = [&["--env", env, "--set", "handlers.orders.retry.initial-delay=2s"], more].concat();
    for arguments in [&["build"][..], &["topics", "create", "orders"], &["publish", "--from", "input.jsonl"]] {
        let (good, told) = longshore("orders", &[server], &[arguments, &slowly].concat());
        assert!(good, "{arguments:?}: {told}");
    }
    let mut host = Running::start("orders", server, &[&["run"][..], &slowly].concat());
    let (mut payments, mut dead) = (BTreeSet::new(), BTreeSet::new());
    eventually("a payment", || {
        payments.extend(taken(env, server, "payments"));
        !payments.is_empty()
    });
    process.stop();
    let before = payments.len();
    assert!(before < 292, "it is stopped in the middle");
    process.launch();
    process.await_ready();
    eventually("292 payments", || {
        payments.extend(taken(env, server, "payments"));
        payments.len() >= 292
    });
    within(RETRIES, "8 dead letters", || {
        dead.extend(taken(env, server, "orders.billing.dlq"));
        dead.len() >= 8
    });
    assert_eq!((payments.len(), dead.len()), (292, 8), "{before} payments were there before");
    assert!(host.end(), "it ends as it should");
}

#[test]
fn the_orders_example_survives_a_stop_of_redis() {
    let Some(redis) = servers::Redis::start(&servers::RedisOptions::default().durable()) else { return };
    the_numbers_add_up("redis", ("REDIS_URL", &redis.url()), &redis.server, &[]);
}

#[test]
fn the_orders_example_survives_a_stop_of_rabbitmq() {
    let Some(rabbit) = servers::RabbitMq::start(&servers::RabbitMqOptions::default()) else { return };
    the_numbers_add_up("rabbitmq", ("RABBITMQ_URL", &rabbit.url()), &rabbit.server, &[]);
}

#[test]
fn the_orders_example_survives_a_stop_of_nats() {
    let Some(nats) = servers::Nats::start(&servers::NatsOptions::default()) else { return };
    // What was lent before comes again after the lease, and holds the order until then.
    let lent = r#"handlers.orders.subscribe=[{ topic = "orders", group = "billing", order = "key", lease = "3s" }]"#;
    the_numbers_add_up("nats", ("NATS_URL", &nats.url()), &nats.server, &["--set", lent]);
}

#[test]
fn the_orders_example_survives_a_stop_of_kafka() {
    let Some(kafka) = servers::Kafka::start(&servers::KafkaOptions::default()) else { return };
    the_numbers_add_up("kafka", ("KAFKA_BOOTSTRAP_SERVERS", &kafka.address()), &kafka.server, &[]);
}

/// The same handler is promised what its broker can give, and no more.
#[test]
fn explain_tells_what_each_broker_promises() {
    let atomic = "outputs leave with the acknowledgement (level 1)";
    let confirmed = "outputs are confirmed before the acknowledgement; a crash between repeats them under the same id (level 2)";
    for (env, kind, guarantee, outputs) in [
        (&[][..], "embedded", "effectively once on one machine", atomic),
        (&["--env", "redis"], "redis-streams", "at least once", atomic),
        (&["--env", "rabbitmq"], "rabbitmq", "at least once", confirmed),
        (&["--env", "kafka"], "kafka", "at least once", confirmed),
        (&["--env", "nats"], "nats-jetstream", "at least once", confirmed),
    ] {
        let (good, told) = longshore("orders", &[], &[&["explain", "--output", "json"][..], env].concat());
        let told: serde_json::Value = serde_json::from_str(&told).unwrap_or_else(|_| panic!("{good}: {told}"));
        assert_eq!(told["type"], kind);
        assert_eq!((&told["guarantee"], &told["outputs"], &told["durable"]), (&guarantee.into(), &outputs.into(), &true.into()), "{kind}");
        assert_eq!(
            (&told["settings"]["order"]["value"], &told["settings"]["order"]["from"]),
            (&"key".into(), &from(kind).into()),
            "{kind}"
        );
    }
}

/// Where the order is said.
fn from(kind: &str) -> &'static str {
    if kind == "rabbitmq" { "longshore.rabbitmq.toml:8" } else { "longshore.toml:5" }
}
