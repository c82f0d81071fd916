//! Dead letters given back, on a server that keeps one message of an id.

use longshore_testkit::servers;

use super::host::{Guest, Project, guest};

/// The payloads of a topic.
fn payloads(project: &Project, topic: &str) -> Vec<String> {
    project.messages(topic).iter().map(|m| m["payload"].as_str().unwrap_or_default().to_owned()).collect()
}

/// JetStream drops what has the id of a message that it took within two minutes, and says that all is well.
#[test]
fn a_dead_letter_that_is_redriven_to_its_own_topic_is_there_again() {
    let Some(nats) = servers::Nats::start(&servers::NatsOptions::default()) else { return };
    let config = format!(
        r#"
[brokers.default]
type = "nats-jetstream"
url = "{}"
[handlers.h]
component = "{}"
subscribe = [{{ topic = "orders", group = "billing" }}]
retry = {{ max-attempts = 1 }}
"#,
        nats.url(),
        guest(Guest::Hostile)
    );
    let project = Project::new(&config);
    project.write("input.jsonl", r#"{"topic":"orders","payload":"trap"}"#);
    for deaths in 1..=3 {
        if deaths == 1 {
            project.ok(&["publish", "--from", "input.jsonl"]);
        }
        project.ok(&["run", "--until-idle"]);
        assert_eq!(payloads(&project, "orders.billing.dlq"), ["trap"], "death {deaths}");
        assert_eq!(project.ok(&["dlq", "redrive", "--to", "orders"]).trim(), "redriven 1");
        let messages = project.messages("orders");
        assert_eq!(messages.len(), deaths + 1, "the dead letter is gone, and so is its copy: {messages:#?}");
        let is_first =
            |message: &serde_json::Value| message["id"].as_str().is_some_and(|id| id.starts_with("orders/") && id.ends_with("/1"));
        assert!(
            messages.iter().all(|message| is_first(message) && message["id"] == messages[0]["id"]),
            "its readers know it: {messages:#?}"
        );
        assert!(payloads(&project, "orders.billing.dlq").is_empty());
    }
}
