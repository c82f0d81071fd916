//! Which files count, and whether one of them changed. Files are looked at, not subscribed to: that works on every file system.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::config::Config;

/// Folders that are never looked into: what builds write, and what is hidden.
fn is_skipped(name: &str) -> bool {
    name == "target" || name == "node_modules" || name.starts_with('.')
}

type Times = BTreeMap<PathBuf, SystemTime>;

/// Watches the sources of a configuration, the configuration itself, and components that nothing builds.
pub(super) struct Watch {
    roots: Vec<PathBuf>,
    known: Times,
    /// What was seen last time, when that was a change: it counts once it stands still.
    pending: Option<Times>,
}

impl Watch {
    pub(super) fn new(config: &Config) -> Self {
        let handlers = config.handlers.values().filter_map(|h| Some((h.component.file()?, h.build.as_ref())));
        let jobs = config.jobs.values().map(|j| (j.component.as_path(), j.build.as_ref()));
        let mut roots = vec![config.file.clone()];
        for (component, build) in handlers.chain(jobs) {
            match build {
                Some(build) => roots.extend(build.watch.iter().map(|path| config.folder.join(path))),
                None => roots.push(component.to_owned()),
            }
        }
        let mut watch = Watch { roots, known: Times::new(), pending: None };
        watch.refresh();
        watch
    }

    /// Takes what is there now as known.
    pub(super) fn refresh(&mut self) {
        self.known = self.times();
        self.pending = None;
    }

    /// A file that changed, once nothing has changed since the last look: rapid saves and half-written files are one change.
    pub(super) fn settled_change(&mut self) -> Option<PathBuf> {
        let now = self.times();
        if now == self.known {
            self.pending = None;
            return None;
        }
        if self.pending.as_ref() != Some(&now) {
            self.pending = Some(now);
            return None;
        }
        let changed = now.iter().find(|(path, time)| self.known.get(*path) != Some(time)).map(|(path, _)| path.clone());
        let gone = || self.known.keys().find(|path| !now.contains_key(*path)).cloned();
        let changed = changed.or_else(gone);
        self.known = now;
        self.pending = None;
        changed
    }

    fn times(&self) -> Times {
        let mut times = Times::new();
        self.roots.iter().for_each(|root| walk(root, &mut times));
        times
    }
}

fn walk(path: &Path, times: &mut Times) {
    let Ok(meta) = fs::metadata(path) else { return };
    if !meta.is_dir() {
        times.insert(path.into(), meta.modified().unwrap_or(SystemTime::UNIX_EPOCH));
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if !is_skipped(&entry.file_name().to_string_lossy()) {
            walk(&entry.path(), times);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_it_stands_still() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("src/a.rs");
        fs::create_dir_all(folder.path().join("src/target")).unwrap();
        fs::write(&file, "1").unwrap();
        let mut watch = Watch { roots: vec![folder.path().join("src")], known: Times::new(), pending: None };
        watch.refresh();
        assert_eq!(watch.settled_change(), None);
        fs::write(folder.path().join("src/target/out"), "").unwrap();
        assert_eq!(watch.settled_change(), None);

        let touch = |seconds| {
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            fs::File::options().append(true).open(&file).unwrap().set_modified(time).unwrap();
        };
        touch(10);
        assert_eq!(watch.settled_change(), None);
        touch(20);
        assert_eq!(watch.settled_change(), None);
        assert_eq!(watch.settled_change(), Some(file.clone()));
        assert_eq!(watch.settled_change(), None);
        fs::remove_file(&file).unwrap();
        assert_eq!(watch.settled_change(), None);
        assert_eq!(watch.settled_change(), Some(file));
    }
}
