//! After a crash: what was in somebody's hands has been delivered once more, and nothing came of it.
//!
//! A hand-over writes nothing, so which messages were held is not known; which *may* have been is: of each lane, the first open messages above
//! the mark, as many as its subscriber may hold, and likewise the first retries that were due. They count one delivery more. A count too many
//! costs nothing but that such a message is run alone earlier.

use longshore_core::{BrokerError, Ranges};
use rusqlite::{Connection, Transaction, params};

use super::trouble::trouble;

type Result<T> = std::result::Result<T, BrokerError>;

/// Counts what a crash interrupted, and notes that the file is in use: until [`mark_clean`] the next opening is one after a crash.
pub(super) fn recover(connection: &mut Connection, now: u64) -> Result<()> {
    let transaction = connection.transaction().map_err(trouble)?;
    let clean = transaction.query_row("SELECT value FROM meta WHERE name = 'clean'", [], |row| row.get::<_, bool>(0)).map_err(trouble)?;
    if !clean {
        for (lane, topic, mark, above, held) in lanes(&transaction)? {
            count_open(&transaction, lane, topic, mark, &above, held)?;
            count_retries(&transaction, lane, held, now)?;
        }
    }
    // Nobody holds anything now. Whoever opens a lane says how much.
    transaction.execute("UPDATE lanes SET held = 0", []).map_err(trouble)?;
    // Broadcast lanes are not stored; what waited for them has nobody to come to.
    transaction.execute("DELETE FROM retries WHERE lane NOT IN (SELECT id FROM lanes)", []).map_err(trouble)?;
    transaction.execute("UPDATE meta SET value = 0 WHERE name = 'clean'", []).map_err(trouble)?;
    transaction.commit().map_err(trouble)
}

/// Notes that nobody holds anything.
pub(super) fn mark_clean(connection: &Connection) -> Result<()> {
    connection.execute("UPDATE meta SET value = 1 WHERE name = 'clean'", []).map(|_| ()).map_err(trouble)
}

type Lane = (u64, u64, u64, Ranges, u64);

fn lanes(transaction: &Transaction<'_>) -> Result<Vec<Lane>> {
    let mut statement = transaction.prepare("SELECT id, topic, mark, above, held FROM lanes").map_err(trouble)?;
    let rows = statement.query_map([], |row| {
        let (mark, above) = (row.get(2)?, row.get::<_, Vec<u8>>(3)?);
        Ok((row.get(0)?, row.get(1)?, mark, Ranges::decode(&above, mark).unwrap_or_default(), row.get(4)?))
    });
    rows.and_then(Iterator::collect).map_err(trouble)
}

fn count_open(transaction: &Transaction<'_>, lane: u64, topic: u64, mark: u64, above: &Ranges, held: u64) -> Result<()> {
    let mut open = transaction.prepare(&format!("SELECT position FROM log_{topic} WHERE position > ?1")).map_err(trouble)?;
    let mut count = transaction
        .prepare_cached("INSERT INTO crashes VALUES (?1, ?2, 1) ON CONFLICT DO UPDATE SET count = count + 1")
        .map_err(trouble)?;
    let mut rows = open.query([mark]).map_err(trouble)?;
    let mut left = held;
    while left > 0
        && let Some(row) = rows.next().map_err(trouble)?
    {
        let position: u64 = row.get(0).map_err(trouble)?;
        if !above.contains(position) {
            count.execute([lane, position]).map_err(trouble)?;
            left -= 1;
        }
    }
    Ok(())
}

fn count_retries(transaction: &Transaction<'_>, lane: u64, held: u64, now: u64) -> Result<()> {
    transaction
        .execute(
            "UPDATE retries SET deliveries = deliveries + 1, unanswered = unanswered + 1
             WHERE id IN (SELECT id FROM retries WHERE lane = ?1 AND due <= ?2 ORDER BY due, id LIMIT ?3)",
            params![lane, now, i64::try_from(held).unwrap_or(i64::MAX)],
        )
        .map(|_| ())
        .map_err(trouble)
}
