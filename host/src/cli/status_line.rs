//! What `run` shows on a terminal: its first and last lines, and one status line that is drawn again and again.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use longshore_engine::Activity;
use tokio::task::JoinSet;

use super::output;
use crate::app::Audience;
use crate::app::running::Running;

/// How often the status line is drawn.
const DRAW: Duration = Duration::from_millis(500);
/// Goes to the beginning of the line and clears it (ECMA-48: CR, EL).
const CLEAR: &str = "\r\x1b[2K";

/// Whoever sits before the terminal.
#[derive(Default)]
pub(super) struct Terminal {
    /// Draws the status line, while there is one.
    drawing: JoinSet<()>,
}

impl Audience for Terminal {
    fn line(&mut self, text: String) {
        // Broken pipes included: what is read of it does not decide whether the host runs.
        drop(output::line(&text));
    }

    fn started(&mut self, running: &Arc<Running>) {
        if io::stderr().is_terminal() {
            let running = Arc::clone(running);
            self.drawing.spawn(draw(running));
        }
    }

    fn stopped(&mut self) {
        if !self.drawing.is_empty() {
            self.drawing.abort_all();
            write(CLEAR);
        }
    }
}

async fn draw(running: Arc<Running>) {
    loop {
        write(&format!("{CLEAR}{}", text(&running)));
        tokio::time::sleep(DRAW).await;
    }
}

/// All subscriptions in one line.
fn text(running: &Running) -> String {
    let (mut done, mut retries, mut dead, mut in_flight, mut waiting) = (0, 0, 0, 0, 0);
    for subscription in running.subscriptions() {
        let status = &subscription.status;
        done += status.done();
        retries += status.retried();
        dead += status.dead();
        in_flight += status.in_flight();
        waiting += usize::from(*status.activity().borrow() != Activity::Running);
    }
    let trouble = if waiting > 0 { format!(", {waiting} subscriptions wait for their broker") } else { String::new() };
    format!("{done} done, {retries} retries, {dead} dead letters, {in_flight} in flight{trouble}")
}

fn write(text: &str) {
    // A terminal that is gone is no reason to end.
    drop(io::stderr().write_all(text.as_bytes()));
}

/// Standard error, each write of which takes the place of a status line.
#[derive(Default)]
pub(super) struct Below(());

impl Write for Below {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut line = CLEAR.as_bytes().to_vec();
        line.extend_from_slice(bytes);
        io::stderr().write_all(&line).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
