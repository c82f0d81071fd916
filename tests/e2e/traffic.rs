//! How much goes through each broker, as a host that runs tells it.

use longshore_testkit::servers::{self, unique};
use serde_json::Value;

use super::host::{Guest, Host, Project, eventually, guest};

/// Passes `topic` on to `out`, and has `quiet` besides, which nobody uses.
fn project(broker: &str, topic: &str, out: &str) -> Project {
    Project::new(&format!(
        r#"
[brokers.default]
{broker}
[brokers.quiet]
type = "memory"
[handlers.echo]
component = "{}"
subscribe = [{{ topic = "{topic}" }}]
output = "{out}"
publish = ["{out}"]
retry = {{ initial-delay = "10ms" }}
"#,
        guest(Guest::Echo)
    ))
}

/// What the interface answers of a broker.
fn told(host: &Host, name: &str) -> Value {
    let (_, answer) = host.get("/api/v1/brokers").expect("an answer");
    // The answer may come in chunks, with their sizes between.
    let json = &answer[answer.find('[').expect("a list")..=answer.rfind(']').expect("its end")];
    let brokers: Vec<Value> = serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {answer}"));
    brokers.into_iter().find(|broker| broker["name"] == name).expect("the broker")
}

/// Three messages pass, one of them after a retry, and one is a dead letter: five outcomes, three outputs and a dead letter. A command publishes
/// through the host where a file is the host's alone, and else by itself.
fn is_counted(broker: &str, is_server: bool) {
    let published = if is_server { 4 } else { 8 };
    let (topic, out) = (unique("in"), unique("out"));
    let project = project(broker, &topic, &out);
    let host = project.start(&[]);
    for payload in ["a", "b", "fail-until:2", "reject"] {
        project.ok(&["publish", &topic, payload]);
    }
    let mut last = Value::Null;
    eventually(&format!("all are counted on {broker}"), || {
        last = told(&host, "default");
        last["consumed"] == 5 && last["published"] == published
    });
    let rate = last["request_rate"].as_f64().expect("a rate");
    assert!(rate > 0.0 && rate < 1_000.0, "{last}");
    assert_eq!(last["connections"].as_u64().is_some_and(|open| open > 0), is_server, "{last}");
    let quiet = told(&host, "quiet");
    assert_eq!((&quiet["consumed"], &quiet["published"], quiet["request_rate"].as_f64()), (&0.into(), &0.into(), Some(0.0)), "{quiet}");
    let metrics = |name: &str| host.get("/metrics").is_some_and(|(_, text)| text.contains(name));
    if is_server {
        eventually("connections are measured", || metrics(r#"longshore_broker_connections{broker="default",state="open"}"#));
    }
    if is_server {
        return;
    }
    for command in [&["status"][..], &["brokers", "list"]] {
        let table = project.ok(command);
        let line = table.lines().find(|line| line.starts_with("default ")).expect("the broker");
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert!(cells.contains(&"8") && cells.contains(&"5"), "{table}");
    }
}

#[test]
fn what_goes_through_the_embedded_broker_is_counted() {
    is_counted("type = \"embedded\"", false);
}

#[test]
fn what_goes_through_redis_is_counted() {
    let Some(redis) = servers::redis() else { return };
    is_counted(&format!("type = \"redis-streams\"\nurl = \"{}\"", redis.url()), true);
}

#[test]
fn what_goes_through_rabbitmq_is_counted() {
    let Some(rabbit) = servers::rabbitmq() else { return };
    is_counted(&format!("type = \"rabbitmq\"\nurl = \"{}\"", rabbit.url()), true);
}

#[test]
fn what_goes_through_jetstream_is_counted() {
    let Some(nats) = servers::nats() else { return };
    is_counted(&format!("type = \"nats-jetstream\"\nurl = \"{}\"", nats.url()), true);
}

#[test]
fn a_command_without_a_host_counts_nothing() {
    let project = project("type = \"embedded\"", "in", "out");
    let line = project.ok(&["brokers", "list", "--output", "json"]);
    let broker: Value = serde_json::from_str(line.lines().next().expect("a broker")).expect("JSON");
    for counter in ["published", "consumed", "request_rate"] {
        assert_eq!(broker[counter], Value::Null, "{counter}: {line}");
    }
}
