//! A server as faults see it: it is killed, frozen, stopped and started again, whatever it is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;

use super::disk::Disk;
use super::keeper::Keeper;
use super::patience;
use super::process::{Process, Start};

/// How long a server may take until it answers.
const STARTING: Duration = Duration::from_secs(60);

/// Asks a server once whether it is ready.
pub(super) type Probe = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// A server's process, its folder and the way to ask whether it is ready.
///
/// Everything here is told by panics: a test cannot go on without its server.
pub struct Server {
    name: &'static str,
    // The keeper ends last: it removes the folder.
    process: Mutex<Process>,
    keeper: Keeper,
    disk: Disk,
    probe: Probe,
}

impl Server {
    /// Starts what `start` makes of the folder `keeper` has, and waits until `probe` says that it is ready.
    pub(super) fn start(name: &'static str, keeper: Keeper, disk: Disk, start: Start, probe: Probe) -> Server {
        let server = Server::launched(name, keeper, disk, start, probe);
        server.await_ready();
        server
    }

    /// The same without the wait.
    pub(super) fn launched(name: &'static str, keeper: Keeper, disk: Disk, start: Start, probe: Probe) -> Server {
        let process = Mutex::new(Process::new(start, keeper.folder().join("log")));
        let server = Server { name, process, keeper, disk, probe };
        server.launch();
        server
    }

    /// SIGKILL, and its end waited for. Its data stays as the kernel has it.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// SIGTERM, and its end waited for.
    ///
    /// # Panics
    /// When it does not end within 30 seconds.
    pub fn stop(&self) {
        let stopped = self.process().stop();
        stopped.unwrap_or_else(|why| self.fail(&why));
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub fn freeze(&self) {
        self.process().signal(Signal::STOP);
    }

    /// SIGCONT, after [`freeze`](Server::freeze).
    pub fn thaw(&self) {
        self.process().signal(Signal::CONT);
    }

    /// Starts it again on its port with its data, and does not wait until it answers; nothing if it runs.
    pub fn launch(&self) {
        let launched = self.process().launch(&self.keeper);
        launched.unwrap_or_else(|why| self.fail(&format!("it cannot be started: {why}")));
    }

    /// Waits until it answers.
    ///
    /// # Panics
    /// When it has not within 60 seconds, or has ended; the message holds the end of its log.
    pub fn await_ready(&self) {
        let ready = patience::wait(STARTING, || match self.process().ended() {
            Some(status) => Ok(Err(format!("it ended with {status}"))),
            None => (self.probe)().map(Ok),
        });
        ready.and_then(|ended| ended).unwrap_or_else(|why| self.fail(&format!("it is not ready: {why}")));
    }

    /// `kill -9`, then a start on the same port with the same data, waited for.
    pub fn restart(&self) {
        self.kill();
        self.launch();
        self.await_ready();
    }

    /// Whether its process is there, frozen or not.
    pub fn is_running(&self) -> bool {
        self.process().is_running()
    }

    /// Its pid; `None` after it was killed or stopped.
    pub fn pid(&self) -> Option<u32> {
        self.process().pid()
    }

    /// Where its data is; that of a server with a disk of its own can be filled.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The folder with its configuration, data and log. Gone with the server.
    pub fn folder(&self) -> &Path {
        self.keeper.folder()
    }

    /// The file that its output goes to.
    pub fn log(&self) -> PathBuf {
        self.folder().join("log")
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, why: &str) -> ! {
        panic!("{}: {why}; the end of its log:\n{}", self.name, self.process().tail())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.name).field("folder", &self.folder()).finish_non_exhaustive()
    }
}
