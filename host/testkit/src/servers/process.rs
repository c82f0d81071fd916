//! A server's process: started into its keeper's group, signalled by its pid.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::keeper::Keeper;
use super::patience;

/// How long a server may take to end after SIGTERM.
const STOPPING: Duration = Duration::from_secs(30);
/// Lines of the log that a panic shows.
const TAIL: usize = 30;

/// What to start, as often as wanted.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
}

/// One process, or the place of one that ended.
#[derive(Debug)]
pub(super) struct Process {
    start: Start,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// A process that does not run yet, with its output in the file `log`.
    pub(super) fn new(start: Start, log: PathBuf) -> Process {
        Process { start, log, child: None }
    }

    /// Starts it, or does nothing if it runs.
    pub(super) fn launch(&mut self, keeper: &Keeper) -> io::Result<()> {
        if self.is_running() {
            return Ok(());
        }
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.start.program);
        command.args(&self.start.arguments).envs(self.start.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(keeper.folder()).stdin(Stdio::null()).stderr(log.try_clone()?).stdout(log);
        keeper.take(&mut command);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// How it ended; `None` while it runs, or before it ran.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Signals it, if it runs.
    pub(super) fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            let pid = self.child.as_ref().map(Pid::from_child).expect("it runs");
            // It is a child that was not waited for, so the pid is its own.
            let _ = kill_process(pid, signal);
        }
    }

    /// Ends it at once; its data stays as it is.
    pub(super) fn kill(&mut self) {
        self.signal(Signal::KILL);
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }

    /// Asks it to end and waits until it has.
    pub(super) fn stop(&mut self) -> Result<(), String> {
        self.signal(Signal::TERM);
        let ended = patience::wait(STOPPING, || match self.is_running() {
            true => Err(format!("{} still runs {STOPPING:?} after SIGTERM", self.start.program.display())),
            false => Ok(()),
        });
        self.kill();
        ended
    }

    /// The last lines of its output.
    pub(super) fn tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
