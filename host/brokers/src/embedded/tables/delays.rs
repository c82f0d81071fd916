//! Messages that are published and may not be seen yet.

use rusqlite::params;

use super::{Result, SqliteTables, signed};
use crate::local::{Delays, TopicId};

impl Delays for SqliteTables {
    fn next_delay(&mut self) -> Result<u64> {
        self.last_delay += 1;
        self.execute("UPDATE meta SET value = ?1 WHERE name = 'last-delay'", [self.last_delay])?;
        Ok(self.last_delay)
    }

    fn add_delay(&mut self, id: u64, topic: TopicId, due: u64, row: &[u8]) -> Result<()> {
        self.execute("INSERT INTO delayed VALUES (?1, ?2, ?3, ?4)", params![id, signed(due), topic, row]).map(|_| ())
    }

    fn take_due(&mut self, now: u64, limit: usize) -> Result<Vec<(TopicId, Vec<u8>)>> {
        let sql = "SELECT id, topic, row FROM delayed WHERE due <= ?1 ORDER BY due, id LIMIT ?2";
        let due = self.all(sql, params![signed(now), limit], |row| Ok((row.get::<_, u64>(0)?, row.get(1)?, row.get(2)?)))?;
        let mut taken = Vec::with_capacity(due.len());
        for (id, topic, row) in due {
            self.execute("DELETE FROM delayed WHERE id = ?1", [id])?;
            taken.push((topic, row));
        }
        Ok(taken)
    }

    fn next_delayed(&self) -> Result<Option<u64>> {
        self.first("SELECT due FROM delayed ORDER BY due LIMIT 1", [], |row| row.get(0))
    }

    fn count_delays(&self, topic: TopicId) -> Result<u64> {
        self.count("SELECT count(*) FROM delayed WHERE topic = ?1", [topic])
    }

    fn clear_delays(&mut self, topic: TopicId) -> Result<()> {
        self.execute("DELETE FROM delayed WHERE topic = ?1", [topic]).map(|_| ())
    }
}
