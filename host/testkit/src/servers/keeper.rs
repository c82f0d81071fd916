//! What ends servers when the test process is gone, also by `kill -9`: a shell at the other end of a pipe.
//!
//! The shell leads a process group that servers are started into. It reads from a pipe that only the test process can write to, and that
//! the kernel closes with it; then it kills the group and removes the folder. `PR_SET_PDEATHSIG` would be less to write, but it fires when
//! the *thread* that started the server ends, and tests are threads.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// `$0` is the folder. The group has the shell in it, so a job in a group of its own does the killing, and what comes after. A file system
/// that was mounted into the folder goes first. The signals are those that a terminal sends, and HUP for another reason too: the kernel sends
/// it to a group that lost its parent with a member that is stopped.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
read -r _
set -m
{
    kill -KILL -- -$$
    for mounted in "$0"/*/; do mountpoint -q "$mounted" && umount -l "$mounted"; done
    rm -rf -- "$0"
} &
wait
"#;

/// A process group and a folder that end with it.
#[derive(Debug)]
pub(super) struct Keeper {
    folder: PathBuf,
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Keeper {
    /// Makes a folder `longshore-NAME-…` for temporary data, and the group.
    pub(super) fn new(name: &str) -> io::Result<Keeper> {
        let folder = tempfile::Builder::new().prefix(&format!("longshore-{name}-")).tempdir()?;
        let mut shell = Command::new("bash")
            .args(["-c", SCRIPT])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pipe = shell.stdin.take();
        Ok(Keeper { folder: fs::canonicalize(folder.keep())?, shell, pipe })
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes what `command` starts a member of the group.
    pub(super) fn take(&self, command: &mut Command) {
        command.process_group(self.shell.id().cast_signed());
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.pipe = None;
        // It dies with its group; an error says that it is dead already.
        let _ = self.shell.wait();
    }
}
