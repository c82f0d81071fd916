//! What stands in a file, version by version. A migration that was released is never edited; changes are new ones at the end.

use longshore_core::BrokerError;
use rusqlite::Connection;

use super::trouble::trouble;

/// What a kind of file holds.
pub(super) struct Schema {
    /// Marks such a file.
    application_id: i32,
    /// What a file is called that has another mark of ours.
    is: &'static str,
    /// The n-th makes version n + 1 of version n.
    migrations: &'static [&'static str],
}

/// A broker's file: "Lngs".
pub(super) const BROKER: Schema = Schema { application_id: 0x4c6e_6773, is: "a broker", migrations: &MIGRATIONS };
/// A store's file: "Lngk".
pub(super) const STORE: Schema = Schema { application_id: 0x4c6e_676b, is: "a store", migrations: &STORE_MIGRATIONS };

/// Logs are made with their topics: `log_<id>(position, at, row)`.
const MIGRATIONS: [&str; 3] = [
    "
    CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES ('clean', 1), ('last-delay', 0);
    CREATE TABLE topics(
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL,
        next INTEGER NOT NULL, messages INTEGER NOT NULL, bytes INTEGER NOT NULL,
        retention INTEGER, max_size INTEGER, until_finished INTEGER NOT NULL
    );
    CREATE TABLE lanes(
        id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, grp TEXT NOT NULL, mark INTEGER NOT NULL, above BLOB NOT NULL,
        held INTEGER NOT NULL, created_at INTEGER NOT NULL, UNIQUE(grp, topic)
    );
    CREATE TABLE crashes(
        lane INTEGER NOT NULL, position INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY(lane, position)
    ) WITHOUT ROWID;
    CREATE TABLE retries(
        id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, due INTEGER NOT NULL, position INTEGER NOT NULL, attempt INTEGER NOT NULL,
        deliveries INTEGER NOT NULL, unanswered INTEGER NOT NULL, redrives INTEGER NOT NULL, first_failed_at INTEGER NOT NULL,
        row BLOB NOT NULL
    );
    CREATE INDEX retries_due ON retries(lane, due, id);
    CREATE TABLE delayed(id INTEGER PRIMARY KEY, due INTEGER NOT NULL, topic INTEGER NOT NULL, row BLOB NOT NULL);
    CREATE INDEX delayed_due ON delayed(due);
",
    // A position is looked up before a dead letter is given back to it.
    "CREATE INDEX retries_position ON retries(lane, position)",
    // The dedup inbox: what is done, and until when that is remembered.
    "
    CREATE TABLE inbox(lane INTEGER NOT NULL, key BLOB NOT NULL, until INTEGER NOT NULL, PRIMARY KEY(lane, key)) WITHOUT ROWID;
    CREATE INDEX inbox_until ON inbox(until);
    ",
];

/// The number of a cache's row is larger than that of every row before it, so that the smallest is the oldest. `weight` is in bytes.
const STORE_MIGRATIONS: [&str; 3] = [
    "
    CREATE TABLE cache(
        id INTEGER PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, expires INTEGER, weight INTEGER NOT NULL,
        UNIQUE(bucket, key)
    );
    CREATE INDEX cache_expires ON cache(expires) WHERE expires IS NOT NULL;
    CREATE TABLE key_value(id INTEGER PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, UNIQUE(bucket, key));
",
    // Fences are numbers of all locks together, so that nothing of a lock has to stay.
    "
    CREATE TABLE locks(
        name TEXT PRIMARY KEY, token TEXT NOT NULL, fence INTEGER NOT NULL, host TEXT NOT NULL, handler TEXT NOT NULL, message TEXT NOT NULL,
        since INTEGER NOT NULL, expires INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX locks_expires ON locks(expires);
    CREATE TABLE last_fence(fence INTEGER NOT NULL);
    INSERT INTO last_fence VALUES (0);
",
    // What dedup inboxes remember.
    "
    CREATE TABLE inbox(bucket TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, expires INTEGER, PRIMARY KEY(bucket, key)) WITHOUT ROWID;
    CREATE INDEX inbox_expires ON inbox(expires) WHERE expires IS NOT NULL;
    ",
];

impl Schema {
    /// Refuses a file that is something else's, or newer than this program.
    pub(super) fn check(&self, connection: &Connection) -> Result<(), BrokerError> {
        let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0)).map_err(trouble);
        let (id, version) = (number("application_id")?, number("user_version")?);
        let things: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(trouble)?;
        if let Some(other) = [BROKER, STORE].into_iter().find(|other| other.application_id == id && id != self.application_id) {
            return Err(BrokerError::give_up(format!("it is the database of {}; {} needs another path", other.is, self.is)));
        }
        if id != self.application_id && (id != 0 || version != 0 || things != 0) {
            return Err(BrokerError::give_up("it is the database of another application; choose another path"));
        }
        let newest = self.migrations.len() as i32;
        if version > newest {
            return Err(BrokerError::give_up(format!(
                "its schema has version {version}, and this program knows versions up to {newest}; use a newer longshore"
            )));
        }
        Ok(())
    }

    /// Brings the schema to the newest version, in one transaction.
    pub(super) fn migrate(&self, connection: &mut Connection) -> Result<(), BrokerError> {
        let version: usize = connection.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)).map_err(trouble)? as usize;
        if version == self.migrations.len() {
            return Ok(());
        }
        let transaction = connection.transaction().map_err(trouble)?;
        for migration in &self.migrations[version..] {
            transaction.execute_batch(migration).map_err(trouble)?;
        }
        transaction.pragma_update(None, "application_id", self.application_id).map_err(trouble)?;
        transaction.pragma_update(None, "user_version", self.migrations.len()).map_err(trouble)?;
        transaction.commit().map_err(trouble)
    }
}
