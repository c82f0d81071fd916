//! Compiled components on disk, so that a restart or a rollback costs milliseconds.
//!
//! A compiled component is machine code that runs as this process: wasmtime cannot check it, so only files that this host wrote may be
//! loaded. They lie in a folder of mode 0700 that must be ours, `<digest of the component>-<engine>/<digest of the file>.bin`: a file is
//! believed when its content has the digest that its name says. Whatever else is found is compiled anew, never an error.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::source::Digest;

/// Components that are kept; beyond them the oldest go.
const KEPT: usize = 256;

/// A file that was begun so long ago will not be finished.
const HALF_WRITTEN: Duration = Duration::from_secs(3600);

/// The cache folder, checked.
pub(crate) struct Cache {
    folder: PathBuf,
    /// Tells engines apart whose machine code is not the same.
    engine: u64,
}

impl Cache {
    /// Opens or makes the folder. `None`, with a warning, when it cannot be trusted.
    pub(crate) fn open(folder: &Path, engine: &Engine) -> Option<Self> {
        if let Err(why) = make_private(folder) {
            tracing::warn!(folder = %folder.display(), %why, "compiled components are not kept: each start compiles anew");
            return None;
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Some(Cache { folder: folder.into(), engine: hasher.finish() })
    }

    /// The compiled form of the component with that digest, if there is one to be trusted.
    pub(crate) fn get(&self, engine: &Engine, component: &Digest) -> Option<Component> {
        for entry in fs::read_dir(self.entry(component)).ok()? {
            let path = entry.ok()?.path();
            match load(engine, &path) {
                Ok(component) => return Some(component),
                Err(why) => {
                    tracing::warn!(file = %path.display(), %why, "a compiled component cannot be used: it is compiled anew");
                    let _ = fs::remove_file(&path);
                }
            }
        }
        None
    }

    /// Keeps a compiled component. A failure costs time at the next start, so it is a warning.
    pub(crate) fn put(&self, compiled: &Component, component: &Digest) {
        if let Err(why) = self.write(compiled, component).and_then(|()| self.prune(KEPT)) {
            tracing::warn!(folder = %self.folder.display(), %why, "a compiled component could not be kept");
        }
    }

    fn write(&self, compiled: &Component, component: &Digest) -> io::Result<()> {
        static UNIQUE: AtomicU64 = AtomicU64::new(0);
        let bytes = compiled.serialize().map_err(io::Error::other)?;
        let entry = self.entry(component);
        make_private(&entry)?;
        let temporary = self.folder.join(format!("{}-{}.tmp", std::process::id(), UNIQUE.fetch_add(1, Relaxed)));
        let written = write_new(&temporary, &bytes).and_then(|()| fs::rename(&temporary, entry.join(file_name(&bytes))));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Removes the oldest components beyond `kept`, and what a host that died left half-written.
    fn prune(&self, kept: usize) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let (path, meta) = match entry.and_then(|e| e.metadata().map(|meta| (e.path(), meta))) {
                Ok(found) => found,
                Err(_) => continue, // Another host has pruned it in the meantime.
            };
            let modified = meta.modified()?;
            match () {
                () if meta.is_dir() => entries.push((modified, path)),
                () if modified.elapsed().is_ok_and(|age| age > HALF_WRITTEN) => drop(fs::remove_file(path)),
                () => {}
            }
        }
        entries.sort();
        for (_, oldest) in entries.iter().take(entries.len().saturating_sub(kept)) {
            let _ = fs::remove_dir_all(oldest);
        }
        Ok(())
    }

    fn entry(&self, component: &Digest) -> PathBuf {
        self.folder.join(format!("{component}-{:016x}", self.engine))
    }
}

fn file_name(content: &[u8]) -> String {
    format!("{}.bin", Digest::of(content))
}

fn load(engine: &Engine, path: &Path) -> Result<Component, String> {
    let meta = fs::symlink_metadata(path).map_err(|e| e.to_string())?;
    if !meta.is_file() || meta.uid() != ours() {
        return Err("it is not a file of this user".into());
    }
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    if path.file_name() != Some(file_name(&bytes).as_ref()) {
        return Err("its content is not what was written".into());
    }
    deserialize(engine, path).map_err(|e| format!("{e:#}"))
}

#[expect(unsafe_code, reason = "the file is ours, in a folder that only we can write, and its content has the digest that we gave it")]
fn deserialize(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: `load` has checked that this host wrote the file with this content, and only this user can change it since.
    unsafe { Component::deserialize_file(engine, path) }
}

/// Makes a folder for us alone, or checks that it is one.
fn make_private(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(folder) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e),
    }
    let meta = fs::symlink_metadata(folder)?;
    match () {
        () if !meta.is_dir() => Err(io::Error::other("it is not a folder")),
        () if meta.uid() != ours() => Err(io::Error::other("it belongs to another user")),
        () if meta.mode() & 0o077 != 0 => Err(io::Error::other("others can look into it: its mode should be 0700")),
        () => Ok(()),
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn ours() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_components_go_and_half_written_files_with_them() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let cache = Cache { folder: folder.path().into(), engine: 7 };
        let aged = |path: &Path, hours: u64| {
            let then = std::time::SystemTime::now() - Duration::from_secs(hours * 3600);
            fs::File::open(path).and_then(|f| f.set_modified(then)).expect("aged");
        };
        for (name, hours) in [("a", 3), ("b", 9), ("c", 1)] {
            fs::create_dir(folder.path().join(name)).expect("made");
            aged(&folder.path().join(name), hours);
        }
        for (name, hours) in [("old.tmp", 2), ("new.tmp", 0)] {
            fs::write(folder.path().join(name), b"").expect("written");
            aged(&folder.path().join(name), hours);
        }
        cache.prune(2).expect("pruned");
        let mut left: Vec<_> = fs::read_dir(folder.path()).expect("there").map(|e| e.expect("an entry").file_name()).collect();
        left.sort();
        assert_eq!(left, ["a", "c", "new.tmp"]);
    }
}
