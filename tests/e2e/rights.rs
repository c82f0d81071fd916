//! Users with the rights that the pages of the brokers list, and no more, do all that a host does.

use longshore_testkit::servers::{Nats, NatsOptions, Redis, RedisOptions};
use serde_json::json;

use super::guarded::{guarded, user};
use super::host::{Guest, Project, eventually, guest};
use super::jetstream::{consumer, stream};
use super::rabbit::secured;

const REDIS: &str = include_str!("../../host/brokers/src/redis/README.md");
const NATS: &str = include_str!("../../host/brokers/src/nats/README.md");

/// A handler that sends on what is good, and traps on the rest.
fn project(broker: &str, more: &str) -> Project {
    let component = guest(Guest::Hostile);
    Project::new(&format!(
        r#"
[brokers.default]
{broker}
[handlers.billing]
component = "{component}"
subscribe = [{{ topic = "orders" }}]
publish = ["payments"]
retry = {{ max-attempts = 2, initial-delay = "50ms" }}
{more}
"#
    ))
}

/// The rules of the page, without the name and the password.
fn rules() -> &'static str {
    let line = REDIS.lines().find_map(|line| line.strip_prefix("ACL SETUSER host on >secret ")).expect("the page has the line");
    line.trim()
}

fn works_on_redis(kind: &str, rules: &str) {
    let Some(redis) = Redis::start(&RedisOptions::default().durable().user("host", "secret", rules)) else { return };
    let config = format!("type = \"{kind}\"\nurl = \"{}\"\nusername = \"host\"\npassword = \"secret\"", redis.url());
    works(&project(&config, ""));
}

/// A handler retries and gives up, and the tools work.
fn works(project: &Project) {
    fails_and_dies(project);
    let dead = project.ok(&["dlq", "list", "--output", "json"]);
    assert!(dead.lines().count() == 1 && dead.contains("\"attempts\":2"), "{dead}");
    assert_eq!(project.ok(&["dlq", "redrive"]).trim(), "redriven 1");
    project.ok(&["topics", "list"]);
    project.ok(&["groups", "list"]);
    project.ok(&["topics", "purge", "orders.billing.dlq", "--yes"]);
}

/// One message is handled, and one is dead after its attempts.
fn fails_and_dies(project: &Project) {
    let checked = project.ok(&["check", "--connect"]);
    assert!(checked.contains("healthy"), "{checked}");
    ["good", "trap"].iter().for_each(|payload| drop(project.ok(&["publish", "orders", payload])));
    project.ok(&["run", "--until-idle"]);
}

#[test]
fn the_rights_of_the_page_are_enough_for_redis_streams() {
    works_on_redis("redis-streams", rules());
}

#[test]
fn the_rights_of_the_page_are_enough_for_redis_lists() {
    works_on_redis("redis-list", &rules().replace("+@stream", "+@list +@set"));
}

/// A right that is missing for an output fails its message, and says for which topic.
fn a_topic_without_rights_fails_its_message(kind: &str, rules: &str) {
    let rules = rules.replace("~*", "~orders* ~longshore:*");
    let Some(redis) = Redis::start(&RedisOptions::default().durable().user("host", "secret", &rules)) else { return };
    let broker = format!("type = \"{kind}\"\nurl = \"{}\"\nusername = \"host\"\npassword = \"secret\"", redis.url());
    let handler =
        "component = \"longshore:pass-through\"\noutput = \"payments\"\npublish = [\"payments\"]\nsubscribe = [{ topic = \"orders\" }]";
    let retry = "retry = { max-attempts = 2, initial-delay = \"50ms\" }";
    let project = Project::new(&format!("[brokers.default]\n{broker}\n[handlers.billing]\n{handler}\n{retry}\n"));
    project.ok(&["publish", "orders", "payload"]);
    project.ok(&["run", "--until-idle"]);
    let dead = project.ok(&["dlq", "list", "--output", "json"]);
    for word in ["\"class\":\"output\"", "\"attempts\":2", "no right on Redis to TYPE", "payments"] {
        assert!(dead.contains(word), "{kind}: {word}: {dead}");
    }
}

#[test]
fn a_topic_without_rights_fails_its_message_on_redis_streams() {
    a_topic_without_rights_fails_its_message("redis-streams", rules());
}

#[test]
fn a_topic_without_rights_fails_its_message_on_redis_lists() {
    a_topic_without_rights_fails_its_message("redis-list", &rules().replace("+@stream", "+@list +@set"));
}

#[test]
fn the_rights_of_the_page_are_enough_for_rabbitmq() {
    let Some((rabbit, _)) = secured() else { return };
    let address = format!("host = \"127.0.0.1\"\nport = {}\nvhost = \"rights\"", rabbit.port());
    let project = project(&format!("type = \"rabbitmq\"\n{address}\nusername = \"host\"\npassword = \"secret\""), "");
    fails_and_dies(&project);
    let dead = project.ok(&["consume", "orders.billing.dlq", "--group", "clerk", "--count", "1"]);
    assert!(dead.contains("\"longshore-dead-attempts\":\"2\""), "{dead}");
}

#[test]
fn the_rights_of_the_page_are_enough_for_kafka() {
    let Some((kafka, _)) = guarded() else { return };
    works(&project(&user(kafka, "host", "secret"), ""));
}

/// The subjects that the page lists for publishing or subscribing, as the server's configuration writes them.
fn subjects(of: &str) -> String {
    let from = NATS.split_once("## Least privileges").expect("the page has that part").1;
    let list = from.split_once(&format!("{of}:")).expect("it lists them").1;
    let list = list.split_once(if of == "publish" { "subscribe:" } else { "```" }).expect("the list ends").0;
    let subjects =
        list.split(',').map(str::trim).map(|subject| if subject == "<topics>" { "orders, payments, orders.billing.dlq" } else { subject });
    let quoted = subjects.flat_map(|list| list.split(", ")).map(|subject| format!("\"{subject}\""));
    quoted.collect::<Vec<_>>().join(", ")
}

#[test]
fn the_rights_of_the_page_are_enough_for_jetstream() {
    let rights = format!("publish: [{}], subscribe: [{}]", subjects("publish"), subjects("subscribe"));
    let options = NatsOptions::default().user("all", "secret", "").user("host", "secret", &rights);
    let Some(nats) = Nats::start(&options) else { return };
    for (name, subject) in [("ORDERS", "orders"), ("PAYMENTS", "payments"), ("DEAD", "orders.billing.dlq")] {
        stream(nats.port(), name, json!({ "subjects": [subject] }));
    }
    stream(nats.port(), "longshore-retries", json!({ "subjects": ["longshore-retries.>"], "retention": "workqueue" }));
    consumer(nats.port(), "ORDERS", "billing", json!({}));
    consumer(nats.port(), "longshore-retries", "billing@ORDERS", json!({ "filter_subject": "longshore-retries.ORDERS.billing.>" }));
    let config = |user: &str, more: &str| {
        format!("type = \"nats-jetstream\"\nurl = \"{}\"\nuser = \"{user}\"\npassword = \"secret\"\n{more}", nats.url())
    };
    let (host, admin) = (project(&config("host", "declare = \"none\""), ""), project(&config("all", ""), ""));
    let checked = host.ok(&["check", "--connect"]);
    assert!(checked.contains("healthy"), "{checked}");
    let mut running = host.start(&[]);
    ["good", "trap"].iter().for_each(|payload| drop(admin.ok(&["publish", "orders", payload])));
    eventually("the message that nobody can stand is dead", || admin.ok(&["dlq", "list", "--output", "json"]).contains("\"attempts\":2"));
    running.signal("TERM");
    assert_eq!(running.ended(), Some(0), "{}", running.log());
}
