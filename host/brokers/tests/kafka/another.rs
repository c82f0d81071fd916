//! Another host: the same test in another process, which can be stopped and killed as one in this process cannot.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tokio::time::Instant;

/// Where the other process is told what it is to work on.
const AT: &str = "LONGSHORE_TEST_KAFKA";
/// How long until it says what is expected.
const SOON: Duration = Duration::from_secs(30);

/// Ends with its being dropped.
pub(crate) struct Another {
    child: Child,
    lines: Receiver<String>,
}

/// What this process was told, if it is such a host.
pub(crate) fn told() -> Option<String> {
    std::env::vars().find(|(name, _)| name == AT).map(|(_, told)| told)
}

impl Another {
    /// Runs that test, which is told so.
    pub(crate) fn start(test: &str, told: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "--nocapture", test])
            .env(AT, told)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (out, (said, lines)) = (child.stdout.take().expect("its output"), std::sync::mpsc::channel());
        std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
        Another { child, lines }
    }

    /// Waits for a line that begins so, and answers the rest of it.
    pub(crate) fn says(&self, begins: &str) -> String {
        let until = Instant::now() + SOON;
        tokio::task::block_in_place(|| {
            loop {
                let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())).expect("it says so in time");
                if let Some(rest) = line.strip_prefix(begins) {
                    return rest.to_owned();
                }
            }
        })
    }

    /// Says a line to it.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().expect("its input"), "{line}").expect("written");
    }

    /// Sends it a signal: `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// As `kill -9` does.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Another {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
