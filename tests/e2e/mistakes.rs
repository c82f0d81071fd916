//! Mistakes that a user makes: each is told with the place and the remedy.

use super::host::{Guest, Project, guest};

/// A configuration with one mistake: the exit code, and words that its error must have.
fn check(config: &str, code: i32, words: &[&str]) {
    let project = Project::new(config);
    let error = project.fails(code, &["run", "--until-idle"]);
    for word in words {
        assert!(error.contains(word), "the error does not say {word:?}:\n{error}");
    }
}

fn handler(component: &str, more: &str) -> String {
    format!("[handlers.h]\ncomponent = \"{component}\"\nsubscribe = [{{ topic = \"in\" }}]\n{more}\n")
}

#[test]
fn an_unknown_key_is_told_with_a_suggestion() {
    check(&handler(&guest(Guest::Echo), "retri = { max-attempts = 2 }"), 2, &["longshore.toml:4", "retri", "retry"]);
}

#[test]
fn a_missing_variable_is_named() {
    check(&handler("${NO_SUCH_VARIABLE}", ""), 2, &["longshore.toml:2", "NO_SUCH_VARIABLE"]);
}

#[test]
fn a_wrong_unit_is_told_with_those_that_there_are() {
    check(&handler(&guest(Guest::Echo), "limits = { deadline = \"5 parsecs\" }"), 2, &["longshore.toml:4", "deadline", "5 parsecs", "ms"]);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let config = handler("${NO_SUCH_VARIABLE}", "retri = 1\nlimits = { deadline = \"x\" }");
    check(&config, 2, &["NO_SUCH_VARIABLE", "retri", "deadline"]);
}

#[test]
fn a_missing_component_is_told_with_how_to_build_it() {
    check(&handler("nothing.wasm", "build = { command = \"true\" }"), 2, &["longshore.toml:2", "nothing.wasm", "longshore build"]);
}

#[test]
fn a_core_module_is_no_component() {
    let project = Project::new(&handler("core.wasm", ""));
    std::fs::write(project.path().join("core.wasm"), b"\0asm\x01\0\0\0").unwrap();
    let error = project.fails(2, &["run", "--until-idle"]);
    // The picture wraps its lines anywhere.
    let error: String = error.lines().map(|line| line.trim_start_matches([' ', '|', 'x'])).collect();
    assert!(error.contains("core module") && error.contains("wasm32-wasip2"), "{error}");
}

#[test]
fn a_component_of_another_world_is_told_where_it_belongs() {
    check(&handler(&guest(Guest::PullJob), ""), 2, &["longshore.toml:2", "job", "[jobs."]);
}

#[test]
fn a_missing_grant_fails_the_message_and_tells_the_line_to_add() {
    let project = Project::new(&handler(&guest(Guest::Echo), "retry = { max-attempts = 1 }"));
    project.publish("in", [("k".to_owned(), "payload".to_owned(), Some("elsewhere"))]);
    project.ok(&["run", "--until-idle"]);
    let shown = project.ok(&["dlq", "list", "--output", "json"]);
    for word in ["\"class\":\"output\"", "elsewhere", "publish"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
}

#[test]
fn a_port_in_use_is_told_with_its_key() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = format!("{}\n[admin]\nlisten = \"{address}\"\n", handler(&guest(Guest::Echo), ""));
    check(&config, 2, &[&address, "admin.listen"]);
}

#[test]
fn a_database_in_use_is_told_with_the_pid_of_its_holder() {
    let project = Project::new(&handler(&guest(Guest::Echo), ""));
    let host = project.start(&[]);
    let error = project.fails(1, &["run", "--until-idle"]);
    assert!(error.contains("in use") && error.contains(&host.pid().to_string()), "{error}");
}

#[test]
fn a_dead_letter_topic_that_is_the_source_is_refused() {
    check(&handler(&guest(Guest::Echo), "dead-letter = { topic = \"in\" }"), 2, &["longshore.toml:4", "dead-letter", "in"]);
}

#[test]
fn explain_shows_no_value_that_a_file_could_not_have() {
    for kind in ["redis-streams", "rabbitmq"] {
        let handler = "component = \"longshore:pass-through\"\nsubscribe = [{ topic = \"in\" }]\noutput = \"out\"\npublish = [\"out\"]";
        let project = Project::new(&format!("[brokers.default]\ntype = \"{kind}\"\n[handlers.copy]\n{handler}\n"));
        let told = project.ok(&["explain"]);
        assert!(told.contains("max-in-flight") && !told.contains("null"), "{kind}: {told}");
    }
}
