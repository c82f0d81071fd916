//! What guests write: `logging`, stdout and stderr, panics; with whom it belongs to, and bounded.

mod support;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_core::Limits;
use longshore_testkit::guests::Guest;
use support::{call, handle, handler};
use tracing::subscriber::DefaultGuard;

/// Collects what is logged on this thread, a JSON object a line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start() -> (Log, DefaultGuard) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.0.lock().expect("not poisoned")).lines().map(Into::into).collect()
    }

    fn with(&self, text: &str) -> Vec<String> {
        self.lines().into_iter().filter(|line| line.contains(text)).collect()
    }
}

#[tokio::test]
async fn stdout_and_stderr_are_captured_line_by_line_with_their_message() {
    let (log, _guard) = Log::start();
    let handler = handler(Guest::Hostile, |_| {});
    handle(&handler, call(&["stdout"])).await.expect("an answer");
    for (text, stream) in [("first line on stdout", "stdout"), ("second line on stdout", "stdout"), ("a line on stderr", "stderr")] {
        let lines = log.with(text);
        assert_eq!(lines.len(), 1, "{text}: {:?}", log.lines());
        for part in [r#""message_id":"m-1""#, r#""handler":"test""#, r#""subscription":"test/in""#, &format!(r#""stream":"{stream}""#)] {
            assert!(lines[0].contains(part), "{part} in {}", lines[0]);
        }
    }
}

#[tokio::test]
async fn a_flood_of_lines_is_cut_and_counted() {
    let (log, _guard) = Log::start();
    let patient = Limits { deadline: Duration::from_secs(60), cpu: Duration::from_secs(60), ..Limits::default() };
    let handler = handler(Guest::Hostile, |s| s.limits = patient);
    handle(&handler, call(&["log-flood"])).await.expect("an answer");
    let lines = log.lines().len();
    assert!((100..=1001).contains(&lines), "{lines} lines are kept of 100000");
    let dropped = log.with("more lines of this guest were dropped");
    assert_eq!(dropped.len(), 1);
    assert!(dropped[0].contains(&format!("{} more", 100_000 - (lines - 1))), "{}", dropped[0]);
    handle(&handler, call(&["stdout"])).await.expect("an answer");
    assert_eq!(log.with("first line on stdout").len(), 1, "the next call may write again");
}

#[tokio::test]
async fn a_panic_is_in_the_log_with_its_message_and_its_backtrace() {
    let (log, _guard) = Log::start();
    let handler = handler(Guest::Echo, |_| {});
    handle(&handler, call(&["panic"])).await.expect_err("a crash");
    let crash = log.with(r#""class":"trap""#);
    assert_eq!(crash.len(), 1, "{:?}", log.lines());
    assert!(crash[0].contains(r#""message_id":"m-1""#) && crash[0].contains("backtrace"), "{}", crash[0]);
    let said = log.with("asked to");
    assert!(said.iter().any(|line| line.contains(r#""message_id":"m-1""#)), "{:?}", log.lines());
}
