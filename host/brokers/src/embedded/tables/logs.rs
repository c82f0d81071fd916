//! Topics and their logs: one table each, so that appending always writes at the right-hand edge.

use std::time::Duration;

use longshore_core::row::Row as Packed;
use longshore_core::{OwnKeys, TopicSettings};
use rusqlite::{Row, params};

use super::{Result, SqliteTables, signed};
use crate::embedded::trouble::trouble;
use crate::local::{Logs, Removed, TopicId, TopicRecord, stamped};

impl Logs for SqliteTables {
    fn topics(&mut self) -> Result<Vec<TopicRecord>> {
        let sql = "SELECT id, name, created_at, next, messages, bytes, retention, max_size, until_finished FROM topics";
        let mut topics = self.all(sql, [], read_topic)?;
        for topic in &mut topics {
            // Counts are stored with removals and now and then; what was appended since is counted.
            let sql = format!("SELECT count(*), coalesce(sum(length(row)), 0), max(position) FROM log_{} WHERE position >= ?1", topic.id);
            let since = |row: &Row<'_>| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?, row.get::<_, Option<u64>>(2)?));
            let (messages, bytes, last) = self.prepare(&sql)?.query_row([topic.next], since).map_err(trouble)?;
            topic.messages += messages;
            topic.bytes += bytes;
            topic.next = last.map_or(topic.next, |last| last + 1);
        }
        Ok(topics)
    }

    fn put_topic(&mut self, topic: &TopicRecord) -> Result<()> {
        let settings = &topic.settings;
        let retention = settings.retention.map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let new = self.execute(
            "INSERT INTO topics VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT(id) DO NOTHING",
            params![
                topic.id,
                &*topic.name,
                signed(topic.created_at),
                signed(topic.next),
                topic.messages,
                topic.bytes,
                retention,
                settings.max_size.map(signed),
                settings.until_finished
            ],
        )?;
        if new == 1 {
            return self.create_log(topic.id);
        }
        self.execute(
            "UPDATE topics SET next = ?2, messages = ?3, bytes = ?4, retention = ?5, max_size = ?6, until_finished = ?7 WHERE id = ?1",
            params![
                topic.id,
                signed(topic.next),
                topic.messages,
                topic.bytes,
                retention,
                settings.max_size.map(signed),
                settings.until_finished
            ],
        )
        .map(|_| ())
    }

    fn drop_topic(&mut self, topic: TopicId) -> Result<()> {
        self.connection.execute_batch(&format!("DROP TABLE log_{topic}")).map_err(trouble)?;
        self.execute("DELETE FROM topics WHERE id = ?1", [topic]).map(|_| ())
    }

    fn clear(&mut self, topic: TopicId) -> Result<()> {
        self.execute(&format!("DELETE FROM log_{topic}"), []).map(|_| ())
    }

    fn append<'a>(&mut self, topic: TopicId, first: u64, now: u64, rows: impl Iterator<Item = Packed<'a>>) -> Result<()> {
        let SqliteTables { connection, scratch, .. } = self;
        let mut insert = connection.prepare_cached(&format!("INSERT INTO log_{topic} VALUES (?1, ?2, ?3)")).map_err(trouble)?;
        for (position, row) in (first..).zip(rows) {
            insert.execute((position, now, stamped(row, now, scratch))).map_err(trouble)?;
        }
        Ok(())
    }

    fn row(&self, topic: TopicId, position: u64) -> Result<Option<Vec<u8>>> {
        self.first(&format!("SELECT row FROM log_{topic} WHERE position = ?1"), [signed(position)], |row| row.get(0))
    }

    fn at_or_after(&self, topic: TopicId, position: u64) -> Result<Option<(u64, u64)>> {
        let sql = format!("SELECT position, at FROM log_{topic} WHERE position >= ?1 ORDER BY position LIMIT 1");
        self.first(&sql, [signed(position)], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn count_above(&self, topic: TopicId, position: u64) -> Result<u64> {
        self.count(&format!("SELECT count(*) FROM log_{topic} WHERE position > ?1"), [signed(position)])
    }

    fn remove_up_to(&mut self, topic: TopicId, up_to: u64, limit: u64) -> Result<Removed> {
        let sql = format!(
            "SELECT count(*), coalesce(sum(length(row)), 0), max(position)
             FROM (SELECT position, row FROM log_{topic} WHERE position <= ?1 ORDER BY position LIMIT ?2)"
        );
        let sum = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<u64>>(2)?));
        let (messages, bytes, last) = self.prepare(&sql)?.query_row([signed(up_to), signed(limit)], sum).map_err(trouble)?;
        if let Some(last) = last {
            self.execute(&format!("DELETE FROM log_{topic} WHERE position <= ?1"), [last])?;
        }
        Ok(Removed { messages, bytes })
    }

    fn remove(&mut self, topic: TopicId, position: u64) -> Result<Removed> {
        let sql = format!("DELETE FROM log_{topic} WHERE position = ?1 RETURNING length(row)");
        let bytes = self.first(&sql, [signed(position)], |row| row.get::<_, u64>(0))?;
        Ok(bytes.map_or(Removed::default(), |bytes| Removed { messages: 1, bytes }))
    }
}

impl SqliteTables {
    fn create_log(&self, topic: TopicId) -> Result<()> {
        let sql = format!("CREATE TABLE log_{topic}(position INTEGER PRIMARY KEY, at INTEGER NOT NULL, row BLOB NOT NULL)");
        self.connection.execute_batch(&sql).map_err(trouble)
    }
}

fn read_topic(row: &Row<'_>) -> rusqlite::Result<TopicRecord> {
    Ok(TopicRecord {
        id: row.get(0)?,
        name: row.get::<_, String>(1)?.into(),
        created_at: row.get(2)?,
        next: row.get(3)?,
        messages: row.get(4)?,
        bytes: row.get(5)?,
        settings: TopicSettings {
            retention: row.get::<_, Option<u64>>(6)?.map(Duration::from_millis),
            max_size: row.get(7)?,
            until_finished: row.get(8)?,
            own: OwnKeys::default(),
        },
    })
}
