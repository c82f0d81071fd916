//! Dead letters: given back to the group that failed, or removed.

use longshore_core::row::{self, Row};
use longshore_core::{BrokerError, Message, Order, Start, headers};

use super::broker::Broker;
use super::lanes::OpenLane;
use super::tables::{LaneId, Retry, Tables};

type Result<T> = std::result::Result<T, BrokerError>;

/// What its headers say of a dead letter.
#[derive(Debug, PartialEq, Eq)]
struct Origin<'a> {
    topic: &'a str,
    group: &'a str,
    id: &'a str,
    position: u64,
    redrives: u32,
}

impl<T: Tables> Broker<T> {
    /// Gives dead letters back to the groups that failed. One that cannot be given back stays where it is. Says how many went.
    pub(super) fn redrive(&mut self, topic: &str, positions: &[u64], now: u64) -> Result<u64> {
        let Some(from) = self.names.get(topic).copied() else { return Ok(0) };
        let mut count = 0;
        for position in positions {
            // A position that was named twice is gone the second time.
            let Some(bytes) = self.tables.row(from, *position)? else { continue };
            let given = match origin_of(&bytes) {
                Ok((row, origin)) => self.give_back(row, &origin, now)?,
                Err(what) => Err(what),
            };
            match given {
                Ok(()) => count += self.take_out(from, *position)?,
                Err(what) => tracing::warn!("message {topic}/{position} is not given back: {what}"),
            }
        }
        self.save_counts(from)?;
        Ok(count)
    }

    /// Removes dead letters. Says how many were there.
    pub(super) fn remove(&mut self, topic: &str, positions: &[u64]) -> Result<u64> {
        let Some(from) = self.names.get(topic).copied() else { return Ok(0) };
        let mut count = 0;
        for position in positions {
            count += self.take_out(from, *position)?;
        }
        self.save_counts(from)?;
        Ok(count)
    }

    /// Gives a dead letter back, or says why it cannot be.
    fn give_back(&mut self, row: Row<'_>, origin: &Origin<'_>, now: u64) -> Result<std::result::Result<(), String>> {
        let lane = self.lane_of_origin(origin, now)?;
        let Some(position) = self.free_position(lane, origin.position)? else {
            return Ok(Err(format!(
                "group {:?} has too many retries on topic {:?}; redrive it once they are done",
                origin.group, origin.topic
            )));
        };
        let retry = Retry {
            position,
            due: now.max(self.lanes[&lane].cursor.0 + 1),
            attempt: 1,
            deliveries: 0,
            unanswered: 0,
            redrives: origin.redrives.saturating_add(1),
            first_failed_at: 0,
        };
        self.tables.add_retry(lane, &retry, &revived(row, origin))?;
        self.wake.lanes.push(lane);
        Ok(Ok(()))
    }

    /// A position that the group has passed and that nothing waits at, so that order never takes two messages for one: the message's own if
    /// it is such a one, else the next below the mark, else a new one, if the group stands at the end.
    fn free_position(&mut self, lane: LaneId, own: u64) -> Result<Option<u64>> {
        let record = &self.lanes[&lane].record;
        let (mark, passed) = (record.mark, own > 0 && (own <= record.mark || record.above.contains(own)));
        let own = passed.then_some(own);
        for position in own.into_iter().chain((1..=mark).rev()) {
            if !self.tables.waits_at(lane, position)? {
                return Ok(Some(position));
            }
        }
        self.skip_position(lane)
    }

    /// A position of the log that no message will have, where the group has finished all of it.
    fn skip_position(&mut self, lane: LaneId) -> Result<Option<u64>> {
        let entry = self.lanes.get_mut(&lane).expect("the caller found it");
        let topic = self.topics.get_mut(&entry.record.topic).expect("a lane has a topic");
        if entry.record.mark + 1 != topic.record.next {
            return Ok(None);
        }
        topic.record.next += 1;
        entry.record.mark += 1;
        self.tables.put_topic(&topic.record)?;
        self.tables.put_lane(&entry.record)?;
        self.wake.topics.push(topic.record.id);
        Ok(Some(entry.record.mark))
    }

    /// The lane of the group that failed; made again, with nothing else to read, where somebody removed it.
    fn lane_of_origin(&mut self, origin: &Origin<'_>, now: u64) -> Result<LaneId> {
        let topic = self.topic_or_new(origin.topic, now)?;
        if let Some(lane) = self.lane_of(origin.group, topic) {
            return Ok(lane);
        }
        let open = OpenLane { topic, group: Some(origin.group.into()), start: Start::Latest, window: 0, order: Order::None, before: None };
        self.lane_for(&open, now)?
    }

    fn take_out(&mut self, topic: super::TopicId, position: u64) -> Result<u64> {
        let removed = self.tables.remove(topic, position)?;
        self.count_off(topic, removed);
        Ok(removed.messages)
    }
}

/// A dead letter and where it comes from, or why it is none.
fn origin_of(bytes: &[u8]) -> std::result::Result<(Row<'_>, Origin<'_>), String> {
    let row = Row::at(bytes, 0).ok_or("it is damaged")?;
    let origin = origin(row).map_err(|what| format!("it is no dead letter: {what}; publish it where it should go instead"))?;
    Ok((row, origin))
}

/// Where a dead letter comes from, or what is missing.
fn origin<'a>(row: Row<'a>) -> std::result::Result<Origin<'a>, String> {
    let text = |name: &str| row.header(name).and_then(|value| std::str::from_utf8(value).ok());
    let need = |name: &str| text(name).filter(|t| !t.is_empty()).ok_or_else(|| format!("it has no header {name}"));
    let number = |name: &str| text(name).and_then(|t| t.parse().ok()).unwrap_or(0);
    let position = text(headers::DEAD_SOURCE).and_then(|t| t.rsplit('/').next()?.parse().ok()).unwrap_or(0);
    let topic = need(headers::DEAD_TOPIC)?;
    super::admit::check_name(topic)?;
    Ok(Origin {
        topic,
        group: need(headers::DEAD_GROUP)?,
        id: text(headers::DEAD_ID).unwrap_or(row.id()),
        position,
        redrives: number(headers::DEAD_REDRIVES),
    })
}

/// The message as it was before it died.
fn revived(row: Row<'_>, origin: &Origin<'_>) -> Vec<u8> {
    let message = row.message();
    let kept = message.headers.clone().filter(|(name, _)| !name.starts_with(headers::DEAD_PREFIX));
    let alive = Message {
        id: origin.id,
        topic: origin.topic,
        key: message.key,
        payload: message.payload,
        headers: kept,
        timestamp: message.timestamp,
        attempt: 1,
    };
    let mut bytes = Vec::with_capacity(row.size());
    row::append(&mut bytes, &alive);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(with: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let message =
            Message { id: "d", topic: "t.g.dlq", key: Some(&b"k"[..]), payload: Some(&b"p"[..]), headers: with, timestamp: 7, attempt: 3 };
        let headers = message.headers.iter().copied();
        row::append(
            &mut bytes,
            &Message {
                headers,
                id: message.id,
                topic: message.topic,
                key: message.key,
                payload: message.payload,
                timestamp: 7,
                attempt: 3,
            },
        );
        bytes
    }

    #[test]
    fn a_revived_message_is_the_original() {
        let bytes = dead(&[
            ("mine", b"1"),
            (headers::DEAD_TOPIC, b"t"),
            (headers::DEAD_GROUP, b"g"),
            (headers::DEAD_ID, b"t/5"),
            (headers::DEAD_SOURCE, b"default/t/5"),
            (headers::DEAD_REDRIVES, b"2"),
        ]);
        let row = Row::at(&bytes, 0).expect("a row");
        let origin = origin(row).expect("complete");
        assert_eq!(origin, Origin { topic: "t", group: "g", id: "t/5", position: 5, redrives: 2 });
        let alive = revived(row, &origin);
        let message = Row::at(&alive, 0).expect("a row").message();
        assert_eq!((message.id, message.topic, message.key, message.payload), ("t/5", "t", Some(&b"k"[..]), Some(&b"p"[..])));
        assert_eq!((message.timestamp, message.attempt), (7, 1));
        assert_eq!(message.headers.collect::<Vec<_>>(), [("mine", &b"1"[..])]);
    }

    #[test]
    fn without_group_or_topic_it_is_no_dead_letter() {
        let check = |with: &[(&str, &[u8])]| assert!(origin(Row::at(&dead(with), 0).expect("a row")).is_err());
        check(&[]);
        check(&[(headers::DEAD_TOPIC, b"t")]);
        check(&[(headers::DEAD_GROUP, b"g")]);
        check(&[(headers::DEAD_TOPIC, b"t..x"), (headers::DEAD_GROUP, b"g")]);
    }
}
