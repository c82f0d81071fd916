//! What lanes remember of the messages that are done, for as long as their windows.

use longshore_core::InboxKey;
use rusqlite::params;

use super::{Result, SqliteTables, signed};
use crate::local::{Inboxes, LaneId};

impl Inboxes for SqliteTables {
    fn remembers(&self, lane: LaneId, key: &InboxKey, now: u64) -> Result<bool> {
        let sql = "SELECT 1 FROM inbox WHERE lane = ?1 AND key = ?2 AND until > ?3";
        Ok(self.first(sql, params![lane, key.0.as_slice(), signed(now)], |_| Ok(()))?.is_some())
    }

    fn remember(&mut self, lane: LaneId, key: &InboxKey, until: u64) -> Result<()> {
        let sql = "INSERT INTO inbox VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET until = excluded.until";
        self.execute(sql, params![lane, key.0.as_slice(), signed(until)]).map(drop)
    }

    fn forget_until(&mut self, now: u64, limit: u64) -> Result<u64> {
        let sql = "DELETE FROM inbox WHERE (lane, key) IN (SELECT lane, key FROM inbox WHERE until <= ?1 ORDER BY until LIMIT ?2)";
        self.execute(sql, params![signed(now), signed(limit)])
    }
}
