//! Files and folders that nobody but this user can read or write.

use std::fs::{self, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Makes a folder for us alone, or checks that it is one.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e),
    }
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_dir() {
        return Err(io::Error::other("it is not a folder"));
    }
    ours_alone(&meta, "0700")
}

/// The content of a file that must be ours alone.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    ours_alone(&meta, "0600")?;
    fs::read(path)
}

/// Writes a file that was not there, durably.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn ours_alone(meta: &Metadata, should_be: &str) -> io::Result<()> {
    match () {
        () if meta.uid() != rustix::process::geteuid().as_raw() => Err(io::Error::other("it belongs to another user")),
        () if meta.mode() & 0o077 != 0 => Err(io::Error::other(format!("others can look into it: its mode should be {should_be}"))),
        () => Ok(()),
    }
}
