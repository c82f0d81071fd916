//! How a host ends.

use super::host::{Guest, Host, Project, eventually, guest};

fn project() -> Project {
    Project::new(&format!(
        r#"
shutdown-grace = "20s"

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
fn sigterm_within_the_grace_leaves_nothing_unsettled_that_could_be_settled() {
    let project = project();
    let messages = 3000;
    project.publish("in", (0..messages).map(|n| (format!("key-{n}"), format!("payload {n}"), None)));
    let mut host = project.start(&[]);
    eventually("some messages are through", || host.get("/metrics").is_some_and(|(_, text)| consumed(&text) > 0.0));
    host.signal("TERM");
    assert_eq!(host.ended(), Some(0), "{}", host.log());
    let out = project.keys("out").len();
    assert!(out > 0);
    // What the first life settled is not handled again, and nothing is missing.
    project.ok(&["run", "--until-idle"]);
    let mut keys = project.keys("out");
    assert_eq!(keys.len(), messages, "lost or doubled");
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), messages, "doubled");
}

/// A project whose one message makes its guest spin, and its host, once the guest does.
fn spinning(grace: &str) -> (Project, Host) {
    let project = Project::new(&format!(
        r#"
shutdown-grace = "{grace}"

[handlers.hostile]
component = "{}"
subscribe = [{{ topic = "in" }}]
limits = {{ deadline = "10m", cpu = "10m" }}
"#,
        guest(Guest::Hostile)
    ));
    project.publish("in", [("k".to_owned(), "spin".to_owned(), None)]);
    let host = project.start(&[]);
    eventually("the guest spins", || host.get("/metrics").is_some_and(|(_, text)| text.contains(r#"state="busy"} 1"#)));
    (project, host)
}

#[test]
fn not_ready_from_sigterm_on_and_a_second_signal_ends_at_once() {
    let (_project, mut host) = spinning("10m");
    host.signal("TERM");
    eventually("not ready", || host.get("/readyz").is_some_and(|(status, _)| status == 503));
    assert_eq!(host.get("/livez").map(|(status, _)| status), Some(200));
    host.signal("TERM");
    assert_ne!(host.ended(), Some(0));
}

#[test]
fn a_guest_that_spins_past_the_grace_is_interrupted_and_its_message_comes_again() {
    let (project, mut host) = spinning("200ms");
    host.signal("TERM");
    assert_eq!(host.ended(), Some(0), "{}", host.log());
    let groups = project.ok(&["groups", "list", "--output", "json"]);
    let group: serde_json::Value = serde_json::from_str(groups.lines().next().unwrap()).unwrap();
    assert_eq!(group["lag"], 1, "it is still to be done: {groups}");
}

/// Messages consumed with success, of a page of metrics.
fn consumed(text: &str) -> f64 {
    let line = text.lines().find(|l| l.starts_with("messaging_messages_consumed_total") && l.contains(r#"outcome="ok""#));
    line.and_then(|l| l.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
}
