//! What stands in the file, version by version. A migration that was released is never edited; changes are new ones at the end.

use longshore_core::BrokerError;
use rusqlite::Connection;

use super::trouble::trouble;

/// Marks a file as ours: "Lngs".
pub(super) const APPLICATION_ID: i32 = 0x4c6e_6773;

/// `MIGRATIONS[n]` makes version n + 1 of version n. Logs are made with their topics: `log_<id>(position, at, row)`.
const MIGRATIONS: [&str; 2] = [
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
];

/// Refuses a file that is another application's, or newer than this program.
pub(super) fn check(connection: &Connection) -> Result<(), BrokerError> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0)).map_err(trouble);
    let (id, version) = (number("application_id")?, number("user_version")?);
    let things: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(trouble)?;
    if id != APPLICATION_ID && (id != 0 || version != 0 || things != 0) {
        return Err(BrokerError::give_up("it is the database of another application; choose another path"));
    }
    let newest = MIGRATIONS.len() as i32;
    if version > newest {
        return Err(BrokerError::give_up(format!(
            "its schema has version {version}, and this program knows versions up to {newest}; use a newer longshore"
        )));
    }
    Ok(())
}

/// Brings the schema to the newest version, in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), BrokerError> {
    let version: usize = connection.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)).map_err(trouble)? as usize;
    if version == MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = connection.transaction().map_err(trouble)?;
    for migration in &MIGRATIONS[version..] {
        transaction.execute_batch(migration).map_err(trouble)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(trouble)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len()).map_err(trouble)?;
    transaction.commit().map_err(trouble)
}
