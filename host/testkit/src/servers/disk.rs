//! Where a server keeps its data: in its folder, or on a disk of its own that can be full.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What fills a disk, in pieces.
static PIECE: [u8; 64 << 10] = [0; 64 << 10];

/// The folder of a server's data. On a disk of its own, a tmpfs, that needs the right to mount.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    /// Outside of what the server looks at.
    filler: Option<PathBuf>,
}

impl Disk {
    /// A folder below `folder`, on a disk of `bytes` if so told. The keeper of `folder` unmounts it.
    ///
    /// # Panics
    /// When nothing can be mounted: ask [`may_mount`] first.
    pub(super) fn new(folder: &Path, bytes: Option<usize>) -> Disk {
        let mounted = folder.join("disk");
        fs::create_dir(&mounted).expect("a writable folder");
        if let Some(bytes) = bytes {
            assert!(mount(&mounted, bytes), "a tmpfs can be mounted on {}", mounted.display());
        }
        let data = mounted.join("data");
        fs::create_dir(&data).expect("a writable folder");
        Disk { folder: data, filler: bytes.map(|_| mounted.join("filler")) }
    }

    /// Takes all room that is left; the next write of the server finds none.
    ///
    /// # Panics
    /// When the server was started without a disk of its own.
    pub fn fill(&self) {
        let filler = self.filler();
        let mut file = File::create(filler).expect("a disk that can be written");
        let full = loop {
            if let Err(why) = file.write_all(&PIECE) {
                break why;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::StorageFull, "{}: {full}", filler.display());
        // The room of less than a piece.
        while file.write_all(&[0]).is_ok() {}
    }

    /// Gives the room back that [`fill`](Disk::fill) took.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn free(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
    }

    /// Where the data is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn filler(&self) -> &Path {
        self.filler.as_deref().expect("a server that was started with a disk of its own")
    }
}

/// Whether this user may mount a disk: tried out, since containers refuse it to root too.
pub(super) fn may_mount() -> bool {
    let Ok(folder) = tempfile::tempdir() else { return false };
    mount(folder.path(), 1 << 20) && run("umount", &[&folder.path().display().to_string()])
}

fn mount(folder: &Path, bytes: usize) -> bool {
    run("mount", &["-t", "tmpfs", "-o", &format!("size={bytes}"), "longshore-test", &folder.display().to_string()])
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
