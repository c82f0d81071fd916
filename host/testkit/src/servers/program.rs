//! Where the servers' programs are, and what becomes of a test when one is missing.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::disk;

/// A program that `tests/servers/install` installs.
pub(super) struct Program {
    name: &'static str,
    places: &'static [Place],
}

enum Place {
    /// A name to look for in the folders of `PATH`.
    Named(&'static str),
    /// Below the root of the repository.
    Ours(&'static str),
    /// An absolute path.
    At(&'static str),
}

pub(super) const REDIS: Program = Program { name: "redis-server", places: &[Place::Named("redis-server")] };

/// Not `rabbitmq-server` of `PATH`: on Debian that is a wrapper that insists on a user of its own.
pub(super) const RABBITMQ: Program = Program {
    name: "rabbitmq-server",
    places: &[Place::At("/usr/lib/rabbitmq/bin/rabbitmq-server"), Place::At("/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server")],
};

/// Erlang's port mapper, which comes with RabbitMQ.
pub(super) const EPMD: Program = Program { name: "epmd", places: &[Place::Named("epmd")] };

/// In one version only: older ones lack what the adapter uses.
pub(super) const NATS: Program = Program { name: "nats-server", places: &[Place::Ours("target/tools/nats/bin/nats-server")] };

/// A script that starts Java with what Kafka is made of.
pub(super) const KAFKA: Program = Program { name: "kafka", places: &[Place::Ours("target/tools/kafka/kafka")] };

impl Program {
    /// Its path, where it is installed.
    pub(super) fn find(&self) -> Option<PathBuf> {
        self.places.iter().find_map(Place::find)
    }

    /// Its path.
    ///
    /// # Panics
    /// When it is not installed.
    pub(super) fn path(&self) -> PathBuf {
        self.find().unwrap_or_else(|| panic!("{}", self.missing()))
    }

    /// `None`: it is not installed, or `needs_disk` and this user may not mount one. The test is skipped, and that is said past the capture
    /// of the test runner, for people and for `tests/run`, which counts these lines.
    ///
    /// # Panics
    /// Instead of `None`, in continuous integration (`CI=true`): what is missing there hides failures.
    pub(super) fn or_skip(&self, needs_disk: bool) -> Option<()> {
        let Some(why) = self.absent(needs_disk) else { return Some(()) };
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{why}");
        let test = std::thread::current();
        let line = format!("\nSKIPPED {}: {why}\n", test.name().unwrap_or("a test"));
        // Nobody to tell if it cannot be told.
        let _ = std::io::stderr().write_all(line.as_bytes());
        None
    }

    fn absent(&self, needs_disk: bool) -> Option<String> {
        match self.find() {
            None => Some(self.missing()),
            Some(_) if needs_disk && !disk::may_mount() => {
                Some(format!("{} needs a disk that can be full, and mounting one needs root", self.name))
            }
            Some(_) => None,
        }
    }

    fn missing(&self) -> String {
        format!("{} is not installed: run tests/servers/install", self.name)
    }
}

impl Place {
    fn find(&self) -> Option<PathBuf> {
        match self {
            Place::Named(name) => std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|p| p.is_file()),
            Place::Ours(path) => Some(root().join(path)).filter(|path| path.is_file()),
            Place::At(path) => Some(PathBuf::from(path)).filter(|path| path.is_file()),
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate lies in host/testkit").to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_installed_is_told_with_what_installs_it() {
        let program =
            Program { name: "no-server", places: &[Place::Named("no-server"), Place::Ours("no-server"), Place::At("/no-server")] };
        assert_eq!(program.absent(false).as_deref(), Some("no-server is not installed: run tests/servers/install"));
        assert!(root().join("tests/servers/install").is_file());
    }

    #[test]
    fn a_program_of_the_path_is_found() {
        let program = Program { name: "sh", places: &[Place::Named("no-server"), Place::Named("sh")] };
        assert_eq!(program.absent(false), None);
    }
}
