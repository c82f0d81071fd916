//! One process to a file. The lock is a file beside the database, locked by the operating system, so it ends with the process however that
//! ends; what stands in it tells others whom they met.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use std::thread::sleep;
use std::time::Duration;

use longshore_core::{BrokerError, Holder};

/// How often a lock that somebody has is tried again, and the wait between: long enough for whoever only looks, or has just closed.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(25);

/// The lock, held until the value is dropped.
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of `database`, or says who has it and keeps it for about half a second.
    pub(super) fn take(database: &Path, admin: Option<&str>) -> Result<Self, BrokerError> {
        let path = lock_path(database);
        let cannot = |error: std::io::Error| {
            BrokerError::give_up(format!("database {}: cannot write {}: {error}", database.display(), path.display()))
        };
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(cannot)?;
        let mut tries = 1..TRIES;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries.next().is_some() => sleep(PAUSE),
                Err(TryLockError::WouldBlock) => return Err(in_use(database, read_holder(database, &mut file))),
                Err(TryLockError::Error(error)) => return Err(cannot(error)),
            }
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}\n{}", std::process::id(), admin.unwrap_or_default())).map_err(cannot)?;
        Ok(Lock { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The lock goes with the file; its words should go first. A failure leaves stale words in a file that nobody holds, which is no harm.
        let _ = self.file.set_len(0);
    }
}

/// Who holds `database` now; `None` when nobody does.
pub(super) fn holder(database: &Path) -> Option<Holder> {
    let mut file = File::open(lock_path(database)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => read_holder(database, &mut file),
        _ => None,
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

fn read_holder(database: &Path, file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).ok()?;
    let mut lines = text.lines();
    let pid = lines.next()?.parse().ok()?;
    Some(Holder {
        what: format!("database {}", database.display()),
        pid,
        admin: lines.next().filter(|line| !line.is_empty()).map(Into::into),
    })
}

fn in_use(database: &Path, holder: Option<Holder>) -> BrokerError {
    let by = match holder {
        None => "another process".into(),
        Some(Holder { pid, .. }) if pid == std::process::id() => "this process already".into(),
        Some(Holder { pid, admin: None, .. }) => format!("process {pid}"),
        Some(Holder { pid, admin: Some(admin), .. }) => format!("process {pid} (admin at {admin})"),
    };
    BrokerError::give_up(format!("database {} is in use by {by}; one process at a time can use it", database.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_names_its_holder_and_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        assert_eq!(holder(&database), None);
        let lock = Lock::take(&database, Some("127.0.0.1:7070")).unwrap();
        let me = Holder { what: format!("database {}", database.display()), pid: std::process::id(), admin: Some("127.0.0.1:7070".into()) };
        assert_eq!(holder(&database), Some(me));
        let refused = Lock::take(&database, None).err().unwrap();
        assert!(refused.what.contains("in use by this process"), "{refused}");
        drop(lock);
        assert_eq!(holder(&database), None);
        Lock::take(&database, None).unwrap();
    }

    #[test]
    fn whoever_only_looks_keeps_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let looking = File::create(lock_path(&database)).unwrap();
        looking.try_lock_shared().unwrap();
        std::thread::scope(|scope| {
            let taking = scope.spawn(|| Lock::take(&database, None));
            sleep(PAUSE * 2);
            drop(looking);
            taking.join().unwrap().unwrap();
        });
    }

    #[test]
    fn another_process_is_named_with_its_address() {
        let error =
            in_use(Path::new("/d/longshore.db"), Some(Holder { what: String::new(), pid: 1, admin: Some("127.0.0.1:7070".into()) }));
        assert_eq!(
            error.what,
            "database /d/longshore.db is in use by process 1 (admin at 127.0.0.1:7070); one process at a time can use it"
        );
    }
}
