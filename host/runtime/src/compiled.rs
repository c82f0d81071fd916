//! Compiled components on disk, so that a restart or a rollback costs milliseconds.
//!
//! A compiled component is machine code that runs as this process: wasmtime cannot check it, so only files that a host of this user wrote
//! may be loaded. They lie in a folder of mode 0700 that must be ours, `<digest of the component>-<engine>/<MAC of the file>.bin`: a file
//! is believed when its name is the MAC of its content under this user's [key](Key). Whatever else is found is compiled anew, never an
//! error. Where the folder is, the host says; it must not lie where a project's files are unpacked to, key and all.

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache_key::Key;
use crate::private;
use crate::source::Digest;

/// Bytes that are kept, some ten thousand small components; beyond them those that were not used for longest go.
const KEPT: u64 = 2 << 30;

/// Bytes written after which the folder is looked through again.
const PRUNED_EVERY: u64 = 64 << 20;

/// A file that was begun so long ago will not be finished.
const HALF_WRITTEN: Duration = Duration::from_secs(3600);

/// The cache folder, checked.
pub(crate) struct Cache {
    folder: PathBuf,
    key: Key,
    /// Tells engines apart whose machine code is not the same.
    engine: u64,
    /// Entries that this process has used: they stay.
    used: Mutex<HashSet<String>>,
    /// Bytes written since the folder was looked through.
    written: AtomicU64,
}

impl Cache {
    /// Opens or makes the folder. `None`, with a warning, when it or its key cannot be trusted.
    pub(crate) fn open(folder: &Path, engine: &Engine) -> Option<Self> {
        let key = match private::folder(folder).and_then(|()| Key::of(folder)) {
            Ok(key) => key,
            Err(why) => {
                tracing::warn!(folder = %folder.display(), %why, "compiled components are not kept: each start compiles anew");
                return None;
            }
        };
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        // The first component that is written has the folder looked through.
        let written = AtomicU64::new(PRUNED_EVERY);
        Some(Cache { folder: folder.into(), key, engine: hasher.finish(), used: Mutex::default(), written })
    }

    /// The compiled form of the component with that digest, if there is one to be trusted.
    pub(crate) fn get(&self, engine: &Engine, component: &Digest) -> Option<Component> {
        let name = self.name(component);
        let entry = self.folder.join(&name);
        for file in fs::read_dir(&entry).ok()? {
            let path = file.ok()?.path();
            match self.load(engine, &name, &path) {
                Ok(component) => {
                    let _ = fs::File::open(&entry).and_then(|folder| folder.set_modified(SystemTime::now()));
                    self.used().insert(name);
                    return Some(component);
                }
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
        if let Err(why) = self.write(compiled, component).and_then(|bytes| self.prune_at_times(bytes)) {
            tracing::warn!(folder = %self.folder.display(), %why, "a compiled component could not be kept");
        }
    }

    fn load(&self, engine: &Engine, name: &str, path: &Path) -> Result<Component, String> {
        let bytes = private::read(path).map_err(|e| e.to_string())?;
        if path.file_name() != Some(self.file_name(name, &bytes).as_ref()) {
            return Err("it is not what a host of this user wrote here".into());
        }
        deserialize(engine, path).map_err(|e| format!("{e:#}"))
    }

    /// Says how many bytes were written.
    fn write(&self, compiled: &Component, component: &Digest) -> io::Result<u64> {
        static UNIQUE: AtomicU64 = AtomicU64::new(0);
        let bytes = compiled.serialize().map_err(io::Error::other)?;
        let name = self.name(component);
        let entry = self.folder.join(&name);
        private::folder(&entry)?;
        let temporary = self.folder.join(format!("{}-{}.tmp", std::process::id(), UNIQUE.fetch_add(1, Relaxed)));
        let file = entry.join(self.file_name(&name, &bytes));
        let written = private::write_new(&temporary, &bytes).and_then(|()| fs::rename(&temporary, file));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        self.used().insert(name);
        written.map(|()| bytes.len() as u64)
    }

    fn prune_at_times(&self, bytes: u64) -> io::Result<()> {
        if self.written.fetch_add(bytes, Relaxed).saturating_add(bytes) < PRUNED_EVERY {
            return Ok(());
        }
        self.written.store(0, Relaxed);
        self.prune(KEPT)
    }

    /// Removes what was not used for longest beyond `kept` bytes, and what a host that died left half-written.
    fn prune(&self, kept: u64) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let (path, meta) = match entry.and_then(|e| e.metadata().map(|meta| (e.path(), meta))) {
                Ok(found) => found,
                Err(_) => continue, // Another host has pruned it in the meantime.
            };
            let modified = meta.modified()?;
            match () {
                () if meta.is_dir() => entries.push((modified, size(&path), path)),
                () if is_temporary(&path) && modified.elapsed().is_ok_and(|age| age > HALF_WRITTEN) => drop(fs::remove_file(path)),
                () => {}
            }
        }
        entries.sort();
        let mut beyond = entries.iter().map(|(_, bytes, _)| bytes).sum::<u64>().saturating_sub(kept);
        let used = self.used();
        let unused = |path: &Path| path.file_name().and_then(|name| name.to_str()).is_none_or(|name| !used.contains(name));
        for (_, bytes, oldest) in entries.iter().filter(|(.., path)| unused(path)) {
            if beyond == 0 {
                break;
            }
            let _ = fs::remove_dir_all(oldest);
            beyond = beyond.saturating_sub(*bytes);
        }
        Ok(())
    }

    fn name(&self, component: &Digest) -> String {
        format!("{component}-{:016x}", self.engine)
    }

    fn file_name(&self, name: &str, content: &[u8]) -> String {
        format!("{}.bin", self.key.mac(name, content))
    }

    fn used(&self) -> MutexGuard<'_, HashSet<String>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_temporary(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tmp")
}

/// Bytes of the files in `entry`.
fn size(entry: &Path) -> u64 {
    let files = fs::read_dir(entry).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum()
}

#[expect(unsafe_code, reason = "the file is ours, in a folder that only we can write, and its name is its MAC under our key")]
fn deserialize(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: `load` has checked that a host of this user wrote the file with this content, and only this user can change it since.
    unsafe { Component::deserialize_file(engine, path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(folder: &Path) -> Cache {
        let key = Key::of(folder).expect("a key");
        Cache { folder: folder.into(), key, engine: 7, used: Mutex::default(), written: AtomicU64::new(0) }
    }

    fn aged(path: &Path, hours: u64) {
        let then = SystemTime::now() - Duration::from_secs(hours * 3600);
        fs::File::open(path).and_then(|f| f.set_modified(then)).expect("aged");
    }

    fn left(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name().into_string().expect("plain");
        let mut left: Vec<_> = fs::read_dir(folder).expect("there").map(name).collect();
        left.sort();
        left
    }

    #[test]
    fn what_was_not_used_for_longest_goes_and_half_written_files_with_it() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let cache = cache(folder.path());
        for (name, hours) in [("a", 3), ("b", 9), ("c", 1), ("d", 12)] {
            fs::create_dir(folder.path().join(name)).expect("made");
            fs::write(folder.path().join(name).join("x.bin"), [0; 100]).expect("written");
            aged(&folder.path().join(name), hours);
        }
        for (name, hours) in [("old.tmp", 2), ("new.tmp", 0)] {
            fs::write(folder.path().join(name), b"").expect("written");
            aged(&folder.path().join(name), hours);
        }
        aged(&folder.path().join("key"), 1000);
        cache.used().insert("d".into());
        cache.prune(400).expect("pruned");
        assert_eq!(left(folder.path()), ["a", "b", "c", "d", "key", "new.tmp"], "all of it fits");
        cache.prune(300).expect("pruned");
        assert_eq!(left(folder.path()), ["a", "c", "d", "key", "new.tmp"], "`d` is older, and in use here");
    }

    #[test]
    fn the_folder_is_looked_through_once_enough_was_written() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let cache = cache(folder.path());
        let stale = folder.path().join("old.tmp");
        fs::write(&stale, b"").expect("written");
        aged(&stale, 2);
        cache.prune_at_times(PRUNED_EVERY - 1).expect("fine");
        assert!(stale.exists());
        cache.prune_at_times(1).expect("fine");
        assert!(!stale.exists());
    }
}
