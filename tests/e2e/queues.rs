//! Queues, read by commands.

use longshore_testkit::servers::{self, unique};

use super::host::Project;

fn the_oldest_comes_first(broker: &str) {
    let (project, topic) = (Project::new(&format!("[brokers.default]\n{broker}\n")), unique("queue"));
    project.ok(&["topics", "create", &topic]);
    ["first", "second"].iter().for_each(|payload| drop(project.ok(&["publish", &topic, payload])));
    for payload in ["first", "second"] {
        let line = project.ok(&["consume", &topic, "--group", "g", "--count", "1"]);
        assert!(line.contains(&format!(r#""payload":"{payload}""#)), "{broker}: {line}");
    }
}

#[test]
fn a_command_that_reads_a_list_begins_with_its_oldest_message() {
    let Some(redis) = servers::redis() else { return };
    the_oldest_comes_first(&format!("type = \"redis-list\"\nurl = \"{}\"", redis.url()));
}

#[test]
fn a_command_that_reads_a_queue_of_rabbitmq_begins_with_its_oldest_message() {
    let Some(rabbit) = servers::rabbitmq() else { return };
    the_oldest_comes_first(&format!("type = \"rabbitmq\"\nurl = \"{}\"", rabbit.url()));
}

#[test]
fn a_message_into_a_new_queue_of_rabbitmq_is_sent_once_however_short_the_publish_timeout() {
    let Some(rabbit) = servers::rabbitmq() else { return };
    let (broker, topic) = (format!("type = \"rabbitmq\"\nurl = \"{}\"\npublish-timeout = \"1s\"", rabbit.url()), unique("queue"));
    let project = Project::new(&format!("[brokers.default]\n{broker}\n"));
    project.ok(&["publish", &topic, "payload"]);
    let lines = project.ok(&["consume", &topic, "--group", "g"]);
    assert_eq!(lines.lines().count(), 1, "{lines}");
}
