//! End to end: the host with our adapter in it, as a user runs it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests; there is no tokio here, so its clock is of no use")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use longshore_testkit::guests::{Guest, path};
use tempfile::TempDir;

/// How long anything may take. Machines are shared and slow at times.
const DEADLINE: Duration = Duration::from_secs(60);

/// A folder with a configuration whose only broker is a spool.
fn project(more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let component = path(Guest::Echo);
    let config = format!(
        r#"
[brokers.default]
type = "spool"
folder = "spool"

[handlers.echo]
component = {component:?}
subscribe = [{{ topic = "in"{more} }}]
publish = ["out"]
output = "out"

[admin]
listen = "127.0.0.1:0"
"#
    );
    fs::write(folder.path().join("longshore.toml"), config).unwrap();
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_custom-broker"));
    command.args(arguments).current_dir(folder).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn ok(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A host that runs. Killed when dropped.
struct Host(Child);

impl Host {
    fn start(folder: &Path) -> Self {
        let log = fs::File::create(folder.join("log")).unwrap();
        Host(command(folder, &["run"]).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Waits until a topic's file has all these payloads in it.
fn wait_for(folder: &Path, topic: &str, payloads: &[&str]) {
    let file = folder.join("spool").join(format!("{topic}.spool"));
    let started = Instant::now();
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    while !fs::read(&file).is_ok_and(|bytes| payloads.iter().all(|payload| has(&bytes, payload))) {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(started.elapsed() < DEADLINE, "{payloads:?} did not come to {}:\n{log}", file.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_handler_consumes_from_and_publishes_to_a_broker_of_our_own() {
    let project = project("");
    ok(project.path(), &["publish", "in", "published-before"]);
    let _host = Host::start(project.path());
    wait_for(project.path(), "out", &["published-before"]);
    // Another process appends to the file that the host follows.
    let id = ok(project.path(), &["publish", "in", "published-meanwhile", "--key", "k"]);
    assert!(id.starts_with("in/"), "{id}");
    wait_for(project.path(), "out", &["published-before", "published-meanwhile"]);
}

#[test]
fn retries_and_dead_letters_are_the_engines_and_work_with_any_broker() {
    let project = project("");
    ok(project.path(), &["publish", "in", "fail-until:2"]);
    ok(project.path(), &["publish", "in", "reject"]);
    let _host = Host::start(project.path());
    wait_for(project.path(), "out", &["fail-until:2"]);
    wait_for(project.path(), "in.echo.dlq", &["reject", "longshore-dead-reason", "rejected", "asked to"]);
}

#[test]
fn copies_in_the_log_outlive_the_host_that_made_them() {
    let project = project(", persist = true");
    let config = project.path().join("longshore.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("[brokers.log]\ntype = \"embedded\"\n{text}")).unwrap();
    ok(project.path(), &["publish", "in", "before anybody listens"]);
    let host = Host::start(project.path());
    // A spool begins at its end for who copies it, so what comes is published until it is there.
    let listened = Instant::now();
    let copied = || String::from_utf8(run(project.path(), &["consume", "in", "--broker", "log", "--from-start"]).stdout).unwrap();
    while !copied().contains("fail-until:2") {
        assert!(listened.elapsed() < DEADLINE, "nothing was copied");
        // A host that is only starting takes none yet.
        drop(run(project.path(), &["publish", "in", "fail-until:2"]));
    }
    drop(host);
    let _host = Host::start(project.path());
    wait_for(project.path(), "out", &["fail-until:2"]);
    assert!(!copied().contains("before anybody listens"), "a broker that forgets is copied from when somebody listens");
}

#[test]
fn what_a_spool_cannot_do_is_told_by_check_with_what_to_do_instead() {
    let project = project(r#", group = "g""#);
    let output = run(project.path(), &["check"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("(spool) cannot do groups: it lacks `consumer-groups`") && error.contains("broadcast"), "{error}");
}

#[test]
fn the_commands_know_the_adapter_by_its_registration() {
    let project = project("");
    let table = ok(project.path(), &["brokers", "capabilities"]);
    assert!(table.contains("spool") && table.contains("embedded"), "{table}");
    ok(project.path(), &["brokers", "ping"]);
}
