//! Where a [`Broker`](super::Broker) keeps its rows: the seam between behaviour and storage.
//!
//! Every method is one small step inside a transaction of the caller's. Tables decide nothing.

use std::collections::HashMap;
use std::sync::Arc;

use longshore_core::row::Row;
use longshore_core::{BrokerError, InboxKey, Ranges, TopicSettings, Waiting};

/// Number of a topic, never given twice.
pub(crate) type TopicId = u64;
/// Number of a group on a topic.
pub(crate) type LaneId = u64;
type Result<T> = std::result::Result<T, BrokerError>;

/// A topic as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicRecord {
    pub(crate) id: TopicId,
    pub(crate) name: Arc<str>,
    /// Milliseconds since the Unix epoch.
    pub(crate) created_at: u64,
    /// Position of the next message.
    pub(crate) next: u64,
    /// Messages kept.
    pub(crate) messages: u64,
    /// Bytes of their rows.
    pub(crate) bytes: u64,
    /// Its own settings; where it has none the broker's apply.
    pub(crate) settings: TopicSettings,
}

/// A group's place on a topic as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LaneRecord {
    pub(crate) id: LaneId,
    pub(crate) topic: TopicId,
    pub(crate) group: Arc<str>,
    /// Everything at or below it is finished or waits for a retry.
    pub(crate) mark: u64,
    /// What is so above it.
    pub(crate) above: Ranges,
    /// Messages that its subscriber may hold.
    pub(crate) window: u64,
    /// Milliseconds since the Unix epoch.
    pub(crate) created_at: u64,
}

/// A delivery that waits for its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) position: u64,
    /// Milliseconds since the Unix epoch.
    pub(crate) due: u64,
    /// What the next delivery counts as.
    pub(crate) attempt: u32,
    /// Hand-overs so far.
    pub(crate) deliveries: u32,
    /// Of them, the last ones that ended with the process.
    pub(crate) unanswered: u32,
    pub(crate) redrives: u32,
    /// Milliseconds since the Unix epoch; 0 = none.
    pub(crate) first_failed_at: u64,
}

/// What a removal took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// Topics and their messages.
pub(crate) trait Logs {
    /// All topics, with their counts as of now.
    fn topics(&mut self) -> Result<Vec<TopicRecord>>;
    /// Stores a topic, new or changed.
    fn put_topic(&mut self, topic: &TopicRecord) -> Result<()>;
    /// Removes a topic with its messages.
    fn drop_topic(&mut self, topic: TopicId) -> Result<()>;
    /// Removes a topic's messages.
    fn clear(&mut self, topic: TopicId) -> Result<()>;
    /// Appends rows from position `first` on. Rows without a timestamp get `now`.
    fn append<'a>(&mut self, topic: TopicId, first: u64, now: u64, rows: impl Iterator<Item = Row<'a>>) -> Result<()>;
    /// The row at a position.
    fn row(&self, topic: TopicId, position: u64) -> Result<Option<Vec<u8>>>;
    /// Position of the first message at or after `position`, and when it was appended.
    fn at_or_after(&self, topic: TopicId, position: u64) -> Result<Option<(u64, u64)>>;
    /// How many messages stand above a position.
    fn count_above(&self, topic: TopicId, position: u64) -> Result<u64>;
    /// Removes messages at or below `up_to`, the oldest first, at most `limit`.
    fn remove_up_to(&mut self, topic: TopicId, up_to: u64, limit: u64) -> Result<Removed>;
    /// Removes one message.
    fn remove(&mut self, topic: TopicId, position: u64) -> Result<Removed>;
}

/// Groups.
pub(crate) trait Lanes {
    /// All lanes.
    fn lanes(&mut self) -> Result<Vec<LaneRecord>>;
    /// Stores a lane, new or changed.
    fn put_lane(&mut self, lane: &LaneRecord) -> Result<()>;
    /// Removes a lane with its retries.
    fn drop_lane(&mut self, lane: LaneId) -> Result<()>;
    /// How often messages of the lane were in somebody's hands when the process died, by position. None where nothing outlives it.
    fn crashes(&self, lane: LaneId) -> Result<HashMap<u64, u32>> {
        let _ = lane;
        Ok(HashMap::new())
    }
    /// Forgets that up to a position.
    fn forget_crashes(&mut self, lane: LaneId, up_to: u64) -> Result<()> {
        let _ = (lane, up_to);
        Ok(())
    }
}

/// Deliveries that wait for a retry. They hold rows of their own, so no retention touches them.
pub(crate) trait Retries {
    /// Adds one.
    fn add_retry(&mut self, lane: LaneId, retry: &Retry, row: &[u8]) -> Result<()>;
    /// Puts one off, one delivery older; nothing when it is gone.
    fn postpone(&mut self, lane: LaneId, id: u64, due: u64, attempt: u32, first_failed_at: u64) -> Result<()>;
    /// Removes one; nothing when it is gone.
    fn end_retry(&mut self, lane: LaneId, id: u64) -> Result<()>;
    /// Shows those due, by time and number, behind `after` and up to the time `now`, until `each` answers false.
    fn due(&self, lane: LaneId, after: (u64, u64), now: u64, each: &mut dyn FnMut(u64, &Retry, &[u8]) -> bool) -> Result<()>;
    /// When the first behind `after` is due.
    fn next_due(&self, lane: LaneId, after: (u64, u64)) -> Result<Option<u64>>;
    /// Whether one waits that has this position.
    fn waits_at(&self, lane: LaneId, position: u64) -> Result<bool>;
    /// Position and key of all that can be read.
    fn waiting(&self, lane: LaneId) -> Result<Vec<Waiting>>;
    /// How many.
    fn count_retries(&self, lane: LaneId) -> Result<u64>;
    /// Removes all.
    fn clear_retries(&mut self, lane: LaneId) -> Result<()>;
}

/// Messages that are published and may not be seen yet.
pub(crate) trait Delays {
    /// A number for one more, never given twice.
    fn next_delay(&mut self) -> Result<u64>;
    /// Adds one.
    fn add_delay(&mut self, id: u64, topic: TopicId, due: u64, row: &[u8]) -> Result<()>;
    /// Takes out those due at `now`, the earliest first, at most `limit`.
    fn take_due(&mut self, now: u64, limit: usize) -> Result<Vec<(TopicId, Vec<u8>)>>;
    /// When the first is due.
    fn next_delayed(&self) -> Result<Option<u64>>;
    /// How many a topic has.
    fn count_delays(&self, topic: TopicId) -> Result<u64>;
    /// Removes those of a topic.
    fn clear_delays(&mut self, topic: TopicId) -> Result<()>;
}

/// What lanes remember as done.
pub(crate) trait Inboxes {
    /// Whether a lane remembers a key, and for longer than `now`.
    fn remembers(&self, lane: LaneId, key: &InboxKey, now: u64) -> Result<bool>;
    /// Remembers a key until then, milliseconds since the Unix epoch, whatever was known of it.
    fn remember(&mut self, lane: LaneId, key: &InboxKey, until: u64) -> Result<()>;
    /// Forgets keys whose time is over at `now`, the oldest first, at most `limit`. Says how many.
    fn forget_until(&mut self, now: u64, limit: u64) -> Result<u64>;
}

/// All of them, and what storage needs from time to time.
pub(crate) trait Tables: Logs + Lanes + Retries + Delays + Inboxes + Send + 'static {
    /// Gives a little free space back. Says whether there is more.
    fn tidy(&mut self) -> Result<bool> {
        Ok(false)
    }
}

/// The bytes of `row`, with `now` for a timestamp where it has none.
pub(crate) fn stamped<'a>(row: Row<'a>, now: u64, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if row.timestamp() != 0 {
        return row.bytes();
    }
    scratch.clear();
    scratch.extend_from_slice(row.bytes());
    scratch[TIMESTAMP_AT..TIMESTAMP_AT + 8].copy_from_slice(&now.to_le_bytes());
    scratch
}

/// Byte of a row at which its timestamp stands.
const TIMESTAMP_AT: usize = 8;
