//! Ports for servers that must be told theirs.
//!
//! A port is given before its server listens on it, and a server that is restarted gives it up for a while, so that a look at what is bound
//! is not enough: each is locked, by a file, for the life of the test process that was given it. Locks end with their process, however it
//! ends.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Below what systems take for outgoing connections (32,768 on Linux, 49,152 on macOS), so that no client of any test gets one by chance.
/// Clear of 65,535 by the 10,000 that Redis Cluster adds.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

/// A port of the loopback that nothing listens on, and that no call gives again, of this process or another, as long as this one lives.
///
/// # Panics
/// When all are in use, or none can be locked.
pub fn free() -> u16 {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(folder);
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(random()));
    static LOCKS: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let candidates = (0..COUNT).map(|_| FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    // Locked first: what is seen to be free then stays so for all that ask here.
    let found = candidates.filter_map(|port| Some((port, lock(&FOLDER, port)?))).find(|(port, _)| is_free(port));
    let (port, lock) = found.unwrap_or_else(|| panic!("all ports from {FIRST} on are in use"));
    LOCKS.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
    port
}

/// Where the files are: shared by all test processes of a user.
fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("longshore-ports-{}", rustix::process::getuid().as_raw()));
    fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    folder
}

/// The lock of a port; `None`: somebody has it. The files stay: one that was removed could be locked twice.
fn lock(folder: &Path, port: u16) -> Option<File> {
    let path = folder.join(port.to_string());
    let file = File::options().create(true).append(true).open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    file.try_lock().ok().map(|()| file)
}

fn random() -> u16 {
    let hash = RandomState::new().hash_one(std::process::id());
    u16::try_from(hash % u64::from(COUNT)).expect("less than COUNT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_calls_give_two_ports_that_can_be_bound() {
        let (one, other) = (free(), free());
        assert_ne!(one, other);
        for port in [one, other] {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("free");
        }
    }

    #[test]
    fn a_port_that_was_given_can_be_locked_by_nobody_else() {
        let (folder, port) = (folder(), free());
        assert!(lock(&folder, port).is_none(), "another process gets port {port} too");
        let other = tempfile::tempdir().expect("a folder");
        let held = lock(other.path(), port).expect("nobody has it");
        assert!(lock(other.path(), port).is_none());
        drop(held);
        assert!(lock(other.path(), port).is_some(), "a lock that is let go can be had");
    }
}
