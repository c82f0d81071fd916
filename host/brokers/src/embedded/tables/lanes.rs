//! Groups: mark and finished ranges of each on each topic, one row that every settlement updates.

use std::collections::HashMap;

use longshore_core::{BrokerError, Ranges};
use rusqlite::{Row, params};

use super::{Result, SqliteTables, signed};
use crate::local::{LaneId, LaneRecord, Lanes};

impl Lanes for SqliteTables {
    fn lanes(&mut self) -> Result<Vec<LaneRecord>> {
        let read = |row: &Row<'_>| {
            let (mark, above) = (row.get(3)?, row.get::<_, Vec<u8>>(4)?);
            let record = LaneRecord {
                id: row.get(0)?,
                topic: row.get(1)?,
                group: row.get::<_, String>(2)?.into(),
                mark,
                above: Ranges::default(),
                window: row.get(5)?,
                created_at: row.get(6)?,
            };
            Ok((record, above))
        };
        let lanes = self.all("SELECT id, topic, grp, mark, above, held, created_at FROM lanes", [], read)?;
        lanes.into_iter().map(|(record, above)| with_above(record, &above)).collect()
    }

    fn put_lane(&mut self, lane: &LaneRecord) -> Result<()> {
        let above = lane.above.encode(lane.mark);
        let moved = self.execute(
            "UPDATE lanes SET mark = ?2, above = ?3, held = ?4 WHERE id = ?1",
            params![lane.id, signed(lane.mark), above, signed(lane.window)],
        )?;
        if moved == 1 {
            return Ok(());
        }
        self.execute(
            "INSERT INTO lanes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![lane.id, lane.topic, &*lane.group, signed(lane.mark), above, signed(lane.window), signed(lane.created_at)],
        )
        .map(|_| ())
    }

    fn drop_lane(&mut self, lane: LaneId) -> Result<()> {
        self.execute("DELETE FROM retries WHERE lane = ?1", [lane])?;
        self.execute("DELETE FROM crashes WHERE lane = ?1", [lane])?;
        self.execute("DELETE FROM inbox WHERE lane = ?1", [lane])?;
        self.execute("DELETE FROM lanes WHERE id = ?1", [lane]).map(|_| ())
    }

    fn crashes(&self, lane: LaneId) -> Result<HashMap<u64, u32>> {
        let crashes = self.all("SELECT position, count FROM crashes WHERE lane = ?1", [lane], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(crashes.into_iter().collect())
    }

    fn forget_crashes(&mut self, lane: LaneId, up_to: u64) -> Result<()> {
        self.execute("DELETE FROM crashes WHERE lane = ?1 AND position <= ?2", [lane, signed(up_to).cast_unsigned()]).map(|_| ())
    }
}

fn with_above(record: LaneRecord, above: &[u8]) -> Result<LaneRecord> {
    let damaged = || BrokerError::repair(format!("the database is damaged: what group {:?} finished cannot be read", record.group));
    let above = Ranges::decode(above, record.mark).ok_or_else(damaged)?;
    Ok(LaneRecord { above, ..record })
}
