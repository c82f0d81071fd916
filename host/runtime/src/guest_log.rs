//! The log lines of a guest, from `logging`, stdout and stderr: bounded, and told with whom they belong to.
//!
//! A guest can write as much as it likes; what is kept of it is not more than [`LINES`] lines and [`BYTES`] bytes a call (of a job: a
//! second). What is beyond is counted, and the count is one line.

use std::fmt::{self, Display};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;
use tracing::Level;

use crate::crash::cut;
use crate::current::Current;

/// Lines of one call that are kept.
const LINES: u32 = 1000;
/// Bytes of one call that are kept.
const BYTES: usize = 256 << 10;
/// Bytes of one line that are kept.
const LINE: usize = 8 << 10;
/// Bytes of all fields of a line that are kept.
const FIELDS: usize = 8 << 10;
/// After this time a job may write again.
const WINDOW: Duration = Duration::from_secs(1);

/// The log of one instance, shared by its host functions and its output streams.
#[derive(Clone)]
pub(crate) struct GuestLog(Arc<Mutex<Inner>>);

struct Inner {
    handler: Arc<str>,
    current: Current,
    /// Jobs renew the bounds by time, handlers with each call.
    by_time: bool,
    since: Instant,
    lines: u32,
    bytes: usize,
    dropped: u64,
    /// What stdout and stderr have without a newline yet.
    partial: [Vec<u8>; 2],
}

/// Where an output stream's lines come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Stdout = 0,
    Stderr = 1,
}

impl GuestLog {
    pub(crate) fn new(handler: Arc<str>, by_time: bool) -> Self {
        GuestLog(Arc::new(Mutex::new(Inner {
            handler,
            current: Current::default(),
            by_time,
            since: Instant::now(),
            lines: 0,
            bytes: 0,
            dropped: 0,
            partial: [Vec::new(), Vec::new()],
        })))
    }

    /// Begins a call: what is written from now on belongs to it.
    pub(crate) fn begin(&self, current: Current) {
        let mut inner = self.lock();
        inner.finish();
        inner.current = current;
        (inner.lines, inner.bytes) = (0, 0);
    }

    /// Ends a call: writes what has no newline yet, and how much was dropped.
    pub(crate) fn end(&self) {
        let mut inner = self.lock();
        inner.finish();
        inner.current.call = None;
    }

    /// The call that is being handled.
    pub(crate) fn with_current<T>(&self, read: impl FnOnce(&Current) -> T) -> T {
        read(&self.lock().current)
    }

    /// One line of `logging.log`.
    pub(crate) fn line(&self, origin: u32, level: Level, message: &str, fields: &[(String, String)]) {
        if !enabled(level) {
            return;
        }
        let mut inner = self.lock();
        let size = message.len().min(LINE) + fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>().min(FIELDS);
        if inner.admit(size) {
            let fields = if fields.is_empty() { String::new() } else { cut(&Fields(fields).to_string(), FIELDS) };
            inner.write(Some(origin), level, &cut(message, LINE), &fields, "");
        }
    }

    /// Bytes of stdout or stderr: every whole line of them is a line of the log.
    pub(crate) fn bytes(&self, output: Output, bytes: &[u8]) {
        let mut inner = self.lock();
        let mut lines = bytes.split(|b| *b == b'\n');
        let last = lines.next_back().unwrap_or_default();
        for line in lines {
            inner.append(output, line);
            inner.flush(output);
        }
        inner.append(output, last);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Inner {
    fn finish(&mut self) {
        for output in [Output::Stdout, Output::Stderr] {
            self.flush(output);
        }
        self.report_dropped();
    }

    fn append(&mut self, output: Output, bytes: &[u8]) {
        let partial = &mut self.partial[output as usize];
        // One byte more than is shown, so that the cut is seen.
        let room = (LINE + 1).saturating_sub(partial.len());
        partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn flush(&mut self, output: Output) {
        let mut partial = std::mem::take(&mut self.partial[output as usize]);
        let text = String::from_utf8_lossy(partial.strip_suffix(b"\r").unwrap_or(&partial));
        let level = if output == Output::Stderr { Level::WARN } else { Level::INFO };
        if !text.is_empty() && enabled(level) && self.admit(text.len()) {
            let stream = if output == Output::Stderr { "stderr" } else { "stdout" };
            self.write(None, level, &cut(&text, LINE), "", stream);
        }
        drop(text);
        partial.clear();
        self.partial[output as usize] = partial;
    }

    /// Whether a line may still be written; counts it either way.
    fn admit(&mut self, size: usize) -> bool {
        if self.by_time && self.since.elapsed() >= WINDOW {
            self.report_dropped();
            (self.since, self.lines, self.bytes) = (Instant::now(), 0, 0);
        }
        if self.lines >= LINES || self.bytes.saturating_add(size) > BYTES {
            self.dropped += 1;
            return false;
        }
        self.lines += 1;
        self.bytes += size;
        true
    }

    fn report_dropped(&mut self) {
        match std::mem::take(&mut self.dropped) {
            0 => {}
            dropped => {
                self.write(None, Level::WARN, &format!("{dropped} more lines of this guest were dropped: it writes too much"), "", "")
            }
        }
    }

    fn write(&self, origin: Option<u32>, level: Level, text: &str, fields: &str, stream: &str) {
        let s = self.current.subject(origin);
        let handler = &*self.handler;
        macro_rules! event {
            ($level:expr) => {
                tracing::event!(
                    target: "longshore::guest", $level, handler, subscription = s.subscription, message_id = s.message,
                    attempt = s.attempt, trace = s.trace, stream, fields, "{text}"
                )
            };
        }
        match level {
            Level::TRACE => event!(Level::TRACE),
            Level::DEBUG => event!(Level::DEBUG),
            Level::INFO => event!(Level::INFO),
            Level::WARN => event!(Level::WARN),
            Level::ERROR => event!(Level::ERROR),
        }
    }
}

fn enabled(level: Level) -> bool {
    match level {
        Level::TRACE => tracing::enabled!(target: "longshore::guest", Level::TRACE),
        Level::DEBUG => tracing::enabled!(target: "longshore::guest", Level::DEBUG),
        Level::INFO => tracing::enabled!(target: "longshore::guest", Level::INFO),
        Level::WARN => tracing::enabled!(target: "longshore::guest", Level::WARN),
        Level::ERROR => tracing::enabled!(target: "longshore::guest", Level::ERROR),
    }
}

/// Fields as `name="value"`, escaped so that one line stays one line.
struct Fields<'a>(&'a [(String, String)]);

impl Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in self.0.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(f, "{space}{}={value:?}", name.escape_debug())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partial(log: &GuestLog) -> String {
        String::from_utf8_lossy(&log.lock().partial[Output::Stdout as usize]).into_owned()
    }

    #[test]
    fn output_is_cut_into_lines_and_a_rest_waits_for_its_end() {
        let log = GuestLog::new("test".into(), false);
        log.bytes(Output::Stdout, b"one\ntwo\nthr");
        assert_eq!(partial(&log), "thr");
        log.bytes(Output::Stdout, b"ee");
        assert_eq!(partial(&log), "three");
        log.end();
        assert_eq!(partial(&log), "");
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_is_shown() {
        let log = GuestLog::new("test".into(), false);
        (0..100).for_each(|_| log.bytes(Output::Stdout, &[b'x'; 4096]));
        assert_eq!(partial(&log).len(), LINE + 1);
    }

    #[test]
    fn fields_stay_on_one_line() {
        let fields = [("a".to_owned(), "1\n2".to_owned()), ("b".to_owned(), "\"x\"".to_owned())];
        assert_eq!(Fields(&fields).to_string(), r#"a="1\n2" b="\"x\"""#);
    }
}
