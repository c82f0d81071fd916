//! Queues, read by commands.

use longshore_testkit::servers::{self, unique};

use super::host::{Project, text};

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

/// Dead letters of RabbitMQ are there and cannot be shown: nobody is to think that there are none.
#[test]
fn dead_letters_that_nobody_can_look_at_are_told_as_such() {
    let Some(rabbit) = servers::rabbitmq() else { return };
    let broker = format!("[brokers.default]\ntype = \"rabbitmq\"\nurl = \"{}\"\n", rabbit.url());
    let alone = Project::new(&broker);
    for command in
        [&["dlq", "list"][..], &["dlq", "list", "--count"], &["dlq", "redrive"], &["dlq", "discard", "--yes"], &["dlq", "show", "x"]]
    {
        let error = alone.fails(2, command);
        assert!(error.contains("longshore consume <topic>.<group>.dlq --group"), "{command:?}: {error}");
    }
    let beside = Project::new(&format!("{broker}[brokers.other]\ntype = \"embedded\"\n"));
    for (command, says) in
        [(&["dlq", "list", "--count"][..], "0"), (&["dlq", "redrive"], "redriven 0"), (&["dlq", "discard", "--yes"], "removed 0")]
    {
        let output = beside.run(command);
        assert!(output.status.success() && text(&output.stdout).trim() == says, "{command:?}: {output:?}");
        assert!(text(&output.stderr).contains("not looked at: broker \"default\""), "{command:?}: {output:?}");
    }
}

#[test]
fn a_request_is_refused_with_where_to_look_for_a_broker_that_has_replies() {
    let Some(redis) = servers::redis() else { return };
    let project = Project::new(&format!("[brokers.default]\ntype = \"redis-list\"\nurl = \"{}\"\n", redis.url()));
    let error = project.fails(2, &["request", &unique("ask"), "x"]);
    assert!(error.contains("no request and reply") && error.contains("longshore brokers capabilities"), "{error}");
}

/// RabbitMQ lists no queues over AMQP, so what a configuration names is looked for.
#[test]
fn without_a_host_commands_find_the_queues_that_the_configuration_names() {
    let Some(rabbit) = servers::rabbitmq() else { return };
    let (orders, payments, other) = (unique("orders"), unique("payments"), unique("other"));
    let broker = format!("[brokers.default]\ntype = \"rabbitmq\"\nurl = \"{}\"\n", rabbit.url());
    let handler = "component = \"longshore:pass-through\"\noutput = \"out\"";
    let project = Project::new(&format!(
        "{broker}[handlers.billing]\n{handler}\nsubscribe = [{{ topic = \"{orders}\" }}]\npublish = [{{ topic = \"{payments}\", as = \"out\" }}]\n"
    ));
    assert_eq!(project.ok(&["topics", "list", "--output", "json"]), "", "nothing is there yet");
    [&orders, &payments, &other].iter().for_each(|topic| drop(project.ok(&["publish", topic, "payload"])));
    let listed = project.ok(&["topics", "list", "--output", "json"]);
    let names: Vec<serde_json::Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(names.iter().map(|topic| topic["name"].as_str().unwrap()).collect::<Vec<_>>(), [&orders, &payments], "{listed}");
    assert_eq!((&names[0]["messages"], &names[0]["groups"]), (&1.into(), &1.into()), "{listed}");
    assert!(project.ok(&["groups", "list"]).contains("billing"));
    // One that it does not name is found by its name.
    [&orders, &other].iter().for_each(|topic| assert!(project.ok(&["topics", "describe", topic]).contains(topic.as_str())));
    for topic in [&orders, &other] {
        let told = project.fails(1, &["consume", topic]);
        assert!(told.contains("cannot be browsed") && told.contains("consume them with a group"), "{told}");
    }
    project.fails(4, &["topics", "describe", &unique("nothing")]);
}
