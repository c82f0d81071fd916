//! The binary under test: run to its end, or started and watched.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub(crate) use longshore_testkit::guests::Guest;

/// How long anything may take. Machines are shared and slow at times.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A folder with a configuration, gone at the end.
pub(crate) struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    /// A project with this `longshore.toml`. The admin interface listens on a free port unless the text says otherwise.
    pub(crate) fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let admin = if config.contains("[admin]") { "" } else { "\n[admin]\nlisten = \"127.0.0.1:0\"\n" };
        fs::write(folder.path().join("longshore.toml"), format!("{config}{admin}")).unwrap();
        Project { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command.args(arguments).current_dir(self.path()).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The same, and it must succeed: its standard output.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?} failed:\n{}\n{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// The same, and it must fail with that exit code: its standard error.
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}:\n{}\n{error}", text(&output.stdout));
        error
    }

    /// Publishes messages, given as (key, payload, header `to`).
    pub(crate) fn publish(&self, topic: &str, messages: impl IntoIterator<Item = (String, String, Option<&'static str>)>) {
        self.publish_lines(messages.into_iter().map(|(key, payload, to)| {
            let headers = to.map(|t| BTreeMap::from([("to", t)])).unwrap_or_default();
            serde_json::json!({ "topic": topic, "key": key, "payload": payload, "headers": headers })
        }));
    }

    /// Publishes messages as the command line reads them.
    pub(crate) fn publish_lines(&self, messages: impl IntoIterator<Item = serde_json::Value>) {
        self.write_lines(messages);
        self.ok(&["publish", "--from", "input.jsonl"]);
    }

    fn write_lines(&self, messages: impl IntoIterator<Item = serde_json::Value>) {
        let lines: Vec<String> = messages.into_iter().map(|message| message.to_string()).collect();
        self.write("input.jsonl", &lines.join("\n"));
    }

    /// All messages of a topic, as the command line shows them.
    pub(crate) fn messages(&self, topic: &str) -> Vec<serde_json::Value> {
        let lines = self.ok(&["consume", topic, "--from-start"]);
        lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    /// The keys of a topic's messages, in order.
    pub(crate) fn keys(&self, topic: &str) -> Vec<String> {
        self.messages(topic).iter().map(|m| m["key"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Starts `run` and waits until the host is ready.
    pub(crate) fn start(&self, arguments: &[&str]) -> Host {
        self.launch(self.command(&[&["run"], arguments].concat()), "log")
    }

    /// The same with a command and a name of the log, for several hosts.
    pub(crate) fn launch(&self, mut command: Command, log: &str) -> Host {
        let path = self.path().join(log);
        let log = fs::File::create(&path).unwrap();
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut host = Host { child, log: path, admin: String::new() };
        host.wait_until_ready();
        host
    }
}

/// A host that runs. Killed when dropped.
pub(crate) struct Host {
    child: Child,
    log: PathBuf,
    pub(crate) admin: String,
}

impl Host {
    fn wait_until_ready(&mut self) {
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < DEADLINE, "not ready in time:\n{}", self.log());
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the host ended with {status}:\n{}", self.log());
            }
            if let Some(address) =
                self.log().lines().find_map(|l| l.split("http://").nth(1).map(|a| a.trim_end_matches(['"', '}', ' ']).to_owned()))
            {
                self.admin = address;
                if self.get("/readyz").is_some_and(|(status, _)| status == 200) {
                    return;
                }
            }
            pause();
        }
    }

    /// Status and body of a page of the admin interface; nothing when it cannot be reached.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.admin).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.admin).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success(), "kill -{name}");
    }

    /// Kills it at once, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end: the exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < DEADLINE, "it does not end:\n{}", self.log());
            pause();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Waits until something holds.
pub(crate) fn eventually(what: &str, holds: impl FnMut() -> bool) {
    within(DEADLINE, what, holds);
}

/// The same with a deadline of its own.
pub(crate) fn within(deadline: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < deadline, "never: {what}");
        pause();
    }
}

/// Between two looks at a condition.
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The file of a compiled test guest.
pub(crate) fn guest(guest: Guest) -> String {
    longshore_testkit::guests::path(guest).display().to_string()
}

/// An example as its folder has it, built and in a folder of its own; laid over by `overlay` where one is named.
pub(crate) fn example(name: &str, overlay: &str) -> Project {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    let build = Project::new("").command(&["build", "--config", example.join("longshore.toml").to_str().unwrap()]).output().unwrap();
    assert!(build.status.success(), "{}", text(&build.stderr));
    let config = std::fs::read_to_string(example.join("longshore.toml")).unwrap();
    let made = format!("target/wasm32-wasip2/release/{}.wasm", name.replace('-', "_"));
    let project = Project::new(&config.replace(&made, example.join(&made).to_str().unwrap()));
    if !overlay.is_empty() {
        let overlay = format!("longshore.{overlay}.toml");
        std::fs::copy(example.join(&overlay), project.path().join(&overlay)).unwrap();
    }
    project
}

/// A project whose broker and store are on a server, by the overlay of that name, whose address comes from a variable.
pub(crate) struct OnServer {
    pub(crate) project: Project,
    overlay: String,
    address: (String, String),
}

impl OnServer {
    /// An example, with `more` at the end of what is laid over it.
    pub(crate) fn example(name: &str, overlay: &str, address: (&str, &str), more: &str) -> Self {
        let project = example(name, overlay);
        let laid = fs::read_to_string(project.path().join(format!("longshore.{overlay}.toml"))).unwrap();
        OnServer::laid_over(project, overlay, &format!("{laid}\n{more}"), address)
    }

    /// A project with that text laid over it.
    pub(crate) fn laid_over(project: Project, overlay: &str, laid: &str, (variable, url): (&str, &str)) -> Self {
        project.write(&format!("longshore.{overlay}.toml"), laid);
        OnServer { project, overlay: overlay.into(), address: (variable.into(), url.into()) }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.project.command(&[arguments, &["--env", &self.overlay]].concat());
        command.env(&self.address.0, &self.address.1);
        command
    }

    /// What a command prints, which must succeed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Starts `run` and waits until the host is ready.
    pub(crate) fn start(&self, log: &str) -> Host {
        self.project.launch(self.command(&["run"]), log)
    }

    /// Publishes messages as the command line reads them.
    pub(crate) fn publish(&self, messages: impl IntoIterator<Item = serde_json::Value>) {
        self.project.write_lines(messages);
        self.ok(&["publish", "--from", "input.jsonl"]);
    }

    /// What a topic has; nothing before its first message, when there is no such topic.
    pub(crate) fn messages(&self, topic: &str) -> Vec<serde_json::Value> {
        let output = self.command(&["consume", topic, "--from-start"]).output().unwrap();
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
