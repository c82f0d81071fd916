//! Opening the file: whose it is, what state it is in, and how SQLite is to treat it.

use std::path::Path;
use std::time::Duration;

use longshore_core::BrokerError;
use rusqlite::{Connection, OpenFlags};

use super::lock::Lock;
use super::recovery;
use super::schema::{self, Schema};
use super::trouble::trouble;

/// How long a statement waits for a foreign program, a backup say, that holds the file.
const BUSY: Duration = Duration::from_secs(5);
/// Prepared statements that are kept; each topic has a few of its own.
const STATEMENTS: usize = 512;
/// Bytes of one page. Messages of some hundred bytes fill it well.
const PAGE_SIZE: u32 = 8192;
/// Pages after which the write-ahead log is written back.
const CHECKPOINT_PAGES: u32 = 2000;
/// Bytes to which the write-ahead log is cut back.
const WAL_LIMIT: u32 = 64 << 20;
/// KiB of pages that a connection keeps; negative is SQLite's way to say KiB.
const CACHE: i32 = -8192;

/// A file that is ours, locked and up to date.
pub(super) struct Opened {
    pub(super) lock: Lock,
    pub(super) connection: Connection,
}

/// Opens the broker's database at `path`, or makes it. Nothing is changed in a file that is refused.
pub(super) fn open(path: &Path, admin: Option<&str>, now: u64) -> Result<Opened, BrokerError> {
    let mut opened = open_as(&schema::BROKER, path, admin)?;
    recovery::recover(&mut opened.connection, now).map_err(|error| named(path, error))?;
    Ok(opened)
}

/// The same for a database of any kind, as it was left.
pub(super) fn open_as(schema: &Schema, path: &Path, admin: Option<&str>) -> Result<Opened, BrokerError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        return Err(named(path, BrokerError::give_up(format!("there is no folder {}; make it first", folder.display()))));
    }
    let lock = Lock::take(path, admin)?;
    let mut connection = Connection::open(path).map_err(|error| named(path, trouble(error)))?;
    prepare(schema, &mut connection).map_err(|error| named(path, error))?;
    Ok(Opened { lock, connection })
}

fn named(path: &Path, error: BrokerError) -> BrokerError {
    BrokerError { what: format!("database {}: {}", path.display(), error.what), ..error }
}

fn prepare(schema: &Schema, connection: &mut Connection) -> Result<(), BrokerError> {
    connection.busy_timeout(BUSY).map_err(trouble)?;
    schema.check(connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let set = |name: &str, value: &dyn rusqlite::ToSql| connection.pragma_update(None, name, value).map_err(trouble);
    set("page_size", &PAGE_SIZE)?;
    set("auto_vacuum", &"INCREMENTAL")?;
    set("journal_mode", &"WAL")?;
    set("synchronous", &"FULL")?;
    set("wal_autocheckpoint", &CHECKPOINT_PAGES)?;
    set("journal_size_limit", &WAL_LIMIT)?;
    set("cache_size", &CACHE)?;
    set("temp_store", &"MEMORY")?;
    schema.migrate(connection)
}

/// Another connection to a database that this process has opened, for reading only.
pub(super) fn open_reader(path: &Path) -> Result<Connection, BrokerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(trouble)?;
    connection.busy_timeout(BUSY).map_err(trouble)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", CACHE).map_err(trouble)?;
    Ok(connection)
}
