//! Messages that no handler can stand, among good ones.

use serde_json::Value;

use super::host::{Guest, Project, guest};

fn dead_letters(project: &Project) -> Vec<Value> {
    let lines = project.ok(&["dlq", "list", "--output", "json"]);
    lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// Ten good messages of three keys around one that misbehaves: the good ones finish, in order per key, the poison is explained.
fn check_poison(poison: &str, class: &str, attempts: u64) {
    let project = Project::new(&format!(
        r#"
[handlers.hostile]
component = "{}"
subscribe = [{{ topic = "in", order = "key" }}]
limits = {{ memory = "16MiB", deadline = "2s", cpu = "300ms" }}
retry = {{ max-attempts = {attempts}, initial-delay = "10ms" }}
"#,
        guest(Guest::Hostile)
    ));
    let messages = (0..11).map(|n| {
        let payload = if n == 5 { poison.to_owned() } else { format!("good {n}") };
        (format!("key-{}", n % 3), payload, None)
    });
    project.publish("in", messages);
    project.ok(&["run", "--until-idle"]);
    let dead = dead_letters(&project);
    assert_eq!(dead.len(), 1, "{dead:#?}");
    let facts = &dead[0]["facts"];
    assert_eq!((facts["class"].as_str(), facts["attempts"].as_u64()), (Some(class), Some(attempts)), "{facts}");
    assert_eq!(facts["reason"], "exhausted");
    let shown = project.ok(&["dlq", "show", dead[0]["id"].as_str().unwrap()]);
    for told in [poison, class, "exhausted", "hostile/in"] {
        assert!(shown.contains(told), "`dlq show` does not tell {told:?}:\n{shown}");
    }
}

#[test]
fn a_guest_that_spins_is_dead_lettered_alone() {
    check_poison("spin", "timeout", 2);
}

#[test]
fn a_guest_that_eats_memory_is_dead_lettered_alone() {
    check_poison("allocate", "memory", 2);
}

#[test]
fn a_guest_that_traps_on_one_message_harms_no_other() {
    check_poison("trap", "trap", 3);
}

#[test]
fn a_redrive_after_a_fix_empties_the_dead_letters() {
    let project = Project::new(
        r#"
[handlers.echo]
component = "${COMPONENT}"
subscribe = [{ topic = "in", group = "g" }]
output = "out"
publish = ["out"]
retry = { max-attempts = 1 }
"#,
    );
    let broken = |arguments: &[&str]| project.command(arguments).env("COMPONENT", guest(Guest::Hostile)).output().unwrap();
    let mended = |arguments: &[&str]| project.command(arguments).env("COMPONENT", guest(Guest::Echo)).output().unwrap();
    project.write("input.jsonl", "{\"topic\":\"in\",\"key\":\"k\",\"payload\":\"trap\"}\n");
    assert!(broken(&["publish", "--from", "input.jsonl"]).status.success());
    assert!(broken(&["run", "--until-idle"]).status.success());
    let list = mended(&["dlq", "list", "--output", "json"]);
    assert_eq!(String::from_utf8_lossy(&list.stdout).lines().count(), 1);
    let redriven = mended(&["dlq", "redrive"]);
    assert!(redriven.status.success(), "{}", String::from_utf8_lossy(&redriven.stderr));
    assert!(mended(&["run", "--until-idle"]).status.success());
    let list = mended(&["dlq", "list", "--output", "json"]);
    assert_eq!(String::from_utf8_lossy(&list.stdout).trim(), "");
    let out = mended(&["consume", "out", "--from-start"]);
    let line: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(line["payload"], "trap");
    let names: Vec<&String> = line["headers"].as_object().map(|h| h.keys().collect()).unwrap_or_default();
    assert!(!names.iter().any(|n| n.starts_with("longshore-dead-")), "{names:?}");
}
