//! The test guests of `tests/guests`, built when a test first needs one.
//!
//! A build is kept until anything that goes into it changes (the guests, the SDK, the WIT package), and is done by one process while others
//! wait. There is one guest for each folder: a test compares them, and a host test matches over [`Guest`], so that none is left untested.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A component under `tests/guests`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guest {
    /// Answers what its payload says, by the SDK.
    Echo,
    /// The same in the world `single`, without an SDK.
    Single,
    /// Breaks the rule that its payload names.
    Hostile,
    /// A job that pulls.
    PullJob,
    /// Touches cache, key-value and lock.
    Stores,
    /// Reaches for what a sandbox should not give.
    Env,
    /// Reads the payload and answers that all is well, for benchmarks.
    Bench,
}

impl Guest {
    /// All of them.
    pub const ALL: [Guest; 7] = [Guest::Echo, Guest::Single, Guest::Hostile, Guest::PullJob, Guest::Stores, Guest::Env, Guest::Bench];

    /// Its folder.
    pub fn folder(self) -> &'static str {
        match self {
            Guest::Echo => "echo",
            Guest::Single => "single",
            Guest::Hostile => "hostile",
            Guest::PullJob => "pull-job",
            Guest::Stores => "stores",
            Guest::Env => "env",
            Guest::Bench => "bench",
        }
    }
}

/// What a build depends on, from the root of the repository.
const INPUTS: [&str; 3] = ["tests/guests", "guest-sdk", "wit"];

/// The component file of `guest`, built if need be.
///
/// # Panics
/// When the guests do not build: the test cannot go on, and cargo has said why.
pub fn path(guest: Guest) -> PathBuf {
    let target = root().join("target/guests");
    build(&target).unwrap_or_else(|why| panic!("the test guests cannot be built: {why}"));
    component(&target, guest)
}

/// The folder that holds the test guests.
pub fn folder() -> PathBuf {
    root().join("tests/guests")
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("the crate lies in host/testkit").to_path_buf()
}

fn component(target: &Path, guest: Guest) -> PathBuf {
    target.join("wasm32-wasip2/release").join(format!("{}.wasm", guest.folder().replace('-', "_")))
}

fn build(target: &Path) -> io::Result<()> {
    fs::create_dir_all(target)?;
    let lock = File::create(target.join("build.lock"))?;
    lock.lock()?;
    let stamp = target.join("build.stamp");
    let now = inputs()?;
    let built = fs::read_to_string(&stamp).is_ok_and(|before| before == now);
    if built && Guest::ALL.iter().all(|guest| component(target, *guest).is_file()) {
        return Ok(());
    }
    cargo(target)?;
    fs::write(&stamp, now)
}

fn cargo(target: &Path) -> io::Result<()> {
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--release", "--target", "wasm32-wasip2", "--target-dir"])
        .arg(target)
        .current_dir(folder())
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "`cargo build --release --target wasm32-wasip2` in {} ended with {status}; if the target is missing: `rustup target add \
             wasm32-wasip2`",
            folder().display()
        ))),
    }
}

/// A digest of everything that goes into a build.
fn inputs() -> io::Result<String> {
    let mut hasher = DefaultHasher::new();
    for input in INPUTS {
        hash_folder(&root().join(input), &mut hasher)?;
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn hash_folder(folder: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && entry.file_name() != "target" {
            hash_folder(&path, hasher)?;
        } else if kind.is_file() {
            path.hash(hasher);
            fs::read(&path)?.hash(hasher);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_of_guests_is_a_guest() {
        let mut folders: Vec<_> = fs::read_dir(folder())
            .expect("the folder")
            .map(|entry| entry.expect("an entry"))
            .filter(|entry| entry.path().join("Cargo.toml").is_file())
            .map(|entry| entry.file_name().into_string().expect("a plain name"))
            .collect();
        folders.sort();
        let mut guests = Guest::ALL.map(Guest::folder);
        guests.sort_unstable();
        assert_eq!(folders, guests, "a guest without a line in `Guest`, or the other way round");
    }
}
