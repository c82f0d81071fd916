//! Deliveries that wait for a retry, with rows of their own. Only their settlement removes them, so a crash loses none.

use longshore_core::Waiting;
use longshore_core::row::Row as Packed;
use rusqlite::{Row, params};

use super::{Result, SqliteTables, signed};
use crate::embedded::trouble::trouble;
use crate::local::{LaneId, Retries, Retry};

impl Retries for SqliteTables {
    fn add_retry(&mut self, lane: LaneId, retry: &Retry, row: &[u8]) -> Result<()> {
        self.last_retry += 1;
        self.execute(
            "INSERT INTO retries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                self.last_retry,
                lane,
                signed(retry.due),
                signed(retry.position),
                retry.attempt,
                retry.deliveries,
                retry.unanswered,
                retry.redrives,
                signed(retry.first_failed_at),
                row
            ],
        )
        .map(|_| ())
    }

    fn postpone(&mut self, lane: LaneId, id: u64, due: u64, attempt: u32, first_failed_at: u64) -> Result<()> {
        self.execute(
            "UPDATE retries SET due = ?3, attempt = ?4, first_failed_at = ?5, deliveries = deliveries + 1, unanswered = 0
             WHERE id = ?1 AND lane = ?2",
            params![signed(id), lane, signed(due), attempt, signed(first_failed_at)],
        )
        .map(|_| ())
    }

    fn end_retry(&mut self, lane: LaneId, id: u64) -> Result<()> {
        self.execute("DELETE FROM retries WHERE id = ?1 AND lane = ?2", params![signed(id), lane]).map(|_| ())
    }

    fn due(&self, lane: LaneId, after: (u64, u64), now: u64, each: &mut dyn FnMut(u64, &Retry, &[u8]) -> bool) -> Result<()> {
        let mut due = self.prepare(
            "SELECT id, due, position, attempt, deliveries, unanswered, redrives, first_failed_at, row FROM retries
             WHERE lane = ?1 AND (due, id) > (?2, ?3) AND due <= ?4 ORDER BY due, id",
        )?;
        let mut rows = due.query(params![lane, signed(after.0), signed(after.1), signed(now)]).map_err(trouble)?;
        while let Some(row) = rows.next().map_err(trouble)? {
            let (id, retry) = read_retry(row).map_err(trouble)?;
            let packed = row.get_ref(8).and_then(|value| Ok(value.as_blob()?)).map_err(trouble)?;
            if !each(id, &retry, packed) {
                break;
            }
        }
        Ok(())
    }

    fn next_due(&self, lane: LaneId, after: (u64, u64)) -> Result<Option<u64>> {
        self.first(
            "SELECT due FROM retries WHERE lane = ?1 AND (due, id) > (?2, ?3) ORDER BY due, id LIMIT 1",
            params![lane, signed(after.0), signed(after.1)],
            |row| row.get(0),
        )
    }

    fn waits_at(&self, lane: LaneId, position: u64) -> Result<bool> {
        let found = self.first("SELECT 1 FROM retries WHERE lane = ?1 AND position = ?2", [lane, position], |_| Ok(()))?;
        Ok(found.is_some())
    }

    fn waiting(&self, lane: LaneId) -> Result<Vec<Waiting>> {
        let read = |row: &Row<'_>| {
            let (position, packed) = (row.get(0)?, Packed::at(row.get_ref(1)?.as_blob()?, 0));
            Ok(packed.map(|packed| Waiting { position, key: packed.key().map(<[u8]>::to_vec) }))
        };
        let all = self.all("SELECT position, row FROM retries WHERE lane = ?1 ORDER BY due, id", [lane], read)?;
        // What is damaged is never handed over, so nothing must wait for it.
        Ok(all.into_iter().flatten().collect())
    }

    fn count_retries(&self, lane: LaneId) -> Result<u64> {
        self.count("SELECT count(*) FROM retries WHERE lane = ?1", [lane])
    }

    fn clear_retries(&mut self, lane: LaneId) -> Result<()> {
        self.execute("DELETE FROM retries WHERE lane = ?1", [lane]).map(|_| ())
    }
}

fn read_retry(row: &Row<'_>) -> rusqlite::Result<(u64, Retry)> {
    let retry = Retry {
        due: row.get(1)?,
        position: row.get(2)?,
        attempt: row.get(3)?,
        deliveries: row.get(4)?,
        unanswered: row.get(5)?,
        redrives: row.get(6)?,
        first_failed_at: row.get(7)?,
    };
    Ok((row.get(0)?, retry))
}
