//! Jobs: programs that ask for messages themselves.

use super::host::{Guest, Project, guest};

fn project(component: Guest, config: &str) -> Project {
    Project::new(&format!(
        r#"
[jobs.shout]
component = "{}"
subscribe = [{{ topic = "in", name = "inbox" }}]
publish = ["out"]
config = {{ {config} }}
"#,
        guest(component)
    ))
}

#[test]
fn a_job_pulls_publishes_and_settles_and_the_host_ends_with_it() {
    let project = project(Guest::PullJob, r#"subscription = "inbox", to = "out""#);
    project.publish("in", (0..25).map(|n| (format!("key-{n}"), format!("payload {n}"), None)));
    project.ok(&["run"]);
    let mut payloads: Vec<String> = project.messages("out").iter().map(|m| m["payload"].as_str().unwrap_or_default().to_owned()).collect();
    payloads.sort();
    let mut expected: Vec<String> = (0..25).map(|n| format!("PAYLOAD {n}")).collect();
    expected.sort();
    assert_eq!(payloads, expected);
}

#[test]
fn a_job_that_fails_is_told_and_the_host_ends_with_its_failure() {
    let project = project(Guest::PullJob, r#"subscription = "nothing", to = "out""#);
    let error = project.fails(1, &["run"]);
    assert!(error.contains("shout"), "{error}");
}
