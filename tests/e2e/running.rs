//! Commands beside a host that runs: they find it and talk to it, since the database is its own.

use serde_json::json;

use super::host::{Guest, Project, eventually, guest};

fn project() -> Project {
    Project::new(&format!(
        r#"
[handlers.echo]
component = "{}"
subscribe = [{{ topic = "in" }}]
output = "out"
publish = ["out"]
"#,
        guest(Guest::Echo)
    ))
}

#[test]
fn commands_reach_the_host_that_holds_the_database() {
    let project = project();
    let host = project.start(&[]);
    assert_eq!(project.ok(&["publish", "in", "hello"]).trim(), "in/1");
    eventually("it is handled", || project.run(&["consume", "out", "--from-start"]).stdout.len() > 2);
    assert!(project.ok(&["consume", "out", "--from-start"]).contains("hello"));
    assert!(project.ok(&["status"]).contains("default"));
    assert!(project.ok(&["brokers", "ping"]).contains("default"));
    let handlers = project.ok(&["handlers", "list", "--output", "json"]);
    let handler: serde_json::Value = serde_json::from_str(handlers.lines().next().unwrap()).unwrap();
    assert_eq!((&handler["name"], &handler["subscriptions"][0]["state"]), (&"echo".into(), &"running".into()), "{handlers}");
    drop(host);
}

#[test]
fn what_comes_with_longshore_passes_messages_on_without_any_code() {
    let project = Project::new(
        r#"
[brokers.default]
type = "embedded"
[brokers.other]
type = "embedded"
path = "other.db"
[handlers.bridge]
component = "longshore:pass-through"
subscribe = [{ topic = "in", order = "key" }]
publish = [{ topic = "out", broker = "other" }]
output = "out"
"#,
    );
    project.ok(&["check"]);
    project.ok(&["publish", "in", "payload", "--key", "k", "--header", "tenant=a"]);
    project.ok(&["run", "--until-idle"]);
    let lines = project.ok(&["consume", "out", "--broker", "other", "--from-start"]);
    let message: serde_json::Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!((&message["payload"], &message["key"], &message["headers"]["tenant"]), (&json!("payload"), &json!("k"), &json!("a")));
    let told = project.ok(&["handlers", "list"]);
    assert!(told.contains("longshore:pass-through"), "{told}");
}

#[test]
fn a_request_is_answered_by_the_handler_that_replies() {
    let project = project();
    let _host = project.start(&[]);
    assert!(project.ok(&["request", "in", "reply"]).contains("reply"));
    let error = project.fails(1, &["request", "in", "no answer to this", "--timeout", "300ms"]);
    assert!(error.contains("nobody answered"), "{error}");
}

#[test]
fn a_paused_handler_gets_nothing_and_goes_on_when_it_is_resumed() {
    let project = project();
    let _host = project.start(&[]);
    project.ok(&["handlers", "pause", "echo"]);
    project.ok(&["publish", "in", "held"]);
    let lag = || {
        let line = project.ok(&["groups", "list", "--output", "json"]);
        let group: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
        group["lag"].as_u64()
    };
    assert_eq!(lag(), Some(1));
    project.ok(&["handlers", "resume", "echo"]);
    eventually("it is handled", || lag() == Some(0));
}

#[test]
fn what_is_not_there_is_exit_code_4() {
    let project = project();
    for arguments in
        [&["consume", "nothing"][..], &["topics", "describe", "nothing"], &["dlq", "show", "nothing/1"], &["groups", "describe", "nobody"]]
    {
        let error = project.fails(4, arguments);
        assert!(error.contains("noth") || error.contains("nobody"), "{arguments:?}: {error}");
    }
    project.fails(2, &["publish"]);
    project.fails(2, &["run", "nobody"]);
}

#[test]
fn a_cpu_bound_guest_delays_neither_readiness_nor_metrics() {
    let project = Project::new(&format!(
        r#"
[handlers.hostile]
component = "{}"
subscribe = [{{ topic = "in", concurrency = 8 }}]
limits = {{ deadline = "60s", cpu = "60s" }}
"#,
        guest(Guest::Hostile)
    ));
    project.publish("in", (0..8).map(|n| (format!("key-{n}"), "spin".to_owned(), None)));
    let host = project.start(&[]);
    eventually("the guests spin", || host.get("/metrics").is_some_and(|(_, text)| text.contains(r#"state="busy"} 8"#)));
    for page in ["/readyz", "/livez", "/metrics"] {
        assert_eq!(host.get(page).map(|(status, _)| status), Some(200), "{page}");
    }
}
