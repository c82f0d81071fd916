//! Retries: copies in topics of the group's own, one for each tier of delays, in the partition of the same number. Only once a copy is kept
//! is the original finished; so a retry, its attempt and its time outlive host and broker. No group divides these topics: whoever has the
//! lane reads them, and their offsets are committed with its own.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{BrokerError, Fix, Waiting};
use rdkafka::consumer::Consumer as _;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::book::{Log, progress_of};
use super::broker::Broker;
use super::cell::Cell;
use super::member::{Membership, lock};
use super::names::Tier;
use super::place::redriven;
use super::record::{self, Journey};
use super::{reading, trouble};

/// How long looking for what may be there may take.
const LOOKING: Duration = Duration::from_secs(2);

/// The position of a copy: its message's, unless that has none here. A topic that was made anew has other messages at the places of those
/// before, and what is left of them must not pass for these.
pub(super) fn position(journey: &Journey, topic_id: u128, tier: Tier, offset: i64) -> u64 {
    let is_of_another = journey.topic_id != 0 && topic_id != 0 && journey.topic_id != topic_id;
    if journey.position == 0 || is_of_another { redriven(tier, offset) } else { journey.position }
}

/// The tiers of which a topic is there for that partition of the group's. Blocks.
fn tiers_there(broker: &Broker, topic: &str, group: &str, partition: i32) -> Result<Vec<Tier>, BrokerError> {
    let mut there = Vec::new();
    for tier in Tier::all() {
        if broker.partitions(&tier.topic(topic, group))?.is_some_and(|count| partition < count) {
            there.push(tier);
        }
    }
    Ok(there)
}

/// Has a lane that begins read all tiers that are there, and tells the retries that wait. Blocks.
pub(super) fn begin(member: &Membership, cell: &Arc<Cell>) -> Result<Vec<Waiting>, BrokerError> {
    let (topic, partition, id) = {
        let book = cell.book();
        (book.topic.clone(), book.partition, book.topic_id)
    };
    let mut all = Vec::new();
    for tier in tiers_there(&member.broker, &topic, &member.group, partition)? {
        let log = log_of(member, &topic, partition, tier)?;
        all.extend(waiting(&member.broker, (&topic, id), &member.group, partition, tier, &log)?);
        let _adding = lock(&member.adding);
        // Whoever looks for retries that somebody else put there may have been faster.
        if !cell.book().has_tier(tier) {
            add(member, cell, tier, log)?;
        }
    }
    cell.book().set_copied(all.iter().map(|waiting| waiting.position));
    all.sort_by_key(|waiting| waiting.position);
    Ok(all)
}

/// Has a lane read a tier whose topic was made just now. Blocks.
pub(super) fn join(member: &Membership, cell: &Arc<Cell>, tier: Tier) -> Result<(), BrokerError> {
    let _adding = lock(&member.adding);
    let (topic, partition, there) = {
        let book = cell.book();
        (book.topic.clone(), book.partition, book.has_tier(tier))
    };
    if there {
        return Ok(());
    }
    let log = log_of(member, &topic, partition, tier)?;
    add(member, cell, tier, log)
}

/// Has the lanes of a topic read the first tier once somebody else has made it: a redrive does. Blocks.
pub(super) fn discover(member: &Membership, topic: &str, cells: &[Arc<Cell>]) -> Result<(), BrokerError> {
    let without: Vec<&Arc<Cell>> = cells.iter().filter(|cell| !cell.book().has_tier(Tier::FIRST)).collect();
    if without.is_empty() {
        return Ok(());
    }
    let Some(count) = member.broker.partitions(&Tier::FIRST.topic(topic, &member.group))? else { return Ok(()) };
    let there = without.into_iter().filter(|cell| cell.book().partition < count);
    there.into_iter().try_for_each(|cell| join(member, cell, Tier::FIRST))
}

/// Whether retries that a lane waits for were removed. Blocks.
pub(super) fn were_purged(member: &Membership, cell: &Arc<Cell>) -> Result<bool, BrokerError> {
    let (partition, waited): (i32, Vec<(String, i64)>) = {
        let book = cell.book();
        let waits = |log: &Log| log.progress.mark() < log.known_end;
        let waited = book.tiers().filter(|(_, log)| waits(log)).map(|(_, log)| (log.topic.clone(), log.progress.mark()));
        (book.partition, waited.collect())
    };
    for (topic, mark) in waited {
        let (low, _) = member.broker.watermarks_within(&topic, partition, LOOKING)?;
        if low > mark {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Nothing of a lane's retries is read any more.
pub(super) fn stop(member: &Membership, cell: &Arc<Cell>) {
    let _reading = lock(&member.reading);
    drop(cell.take_arrivals());
    let Some(retrier) = member.retrier() else { return };
    let mut list = TopicPartitionList::new();
    let book = cell.book();
    book.tiers().for_each(|(_, log)| {
        list.add_partition(&log.topic, book.partition);
    });
    drop(book);
    if list.count() > 0
        && let Err(error) = retrier.incremental_unassign(&list)
    {
        tracing::debug!(group = %member.group, "{error}");
    }
}

/// Where the group stands on a tier.
fn log_of(member: &Membership, topic: &str, partition: i32, tier: Tier) -> Result<Log, BrokerError> {
    let name = member.retry_topic(topic, tier);
    let Some(consumer) = member.consumer() else { return Err(BrokerError::reconnect(format!("group {:?} was left", member.group))) };
    let mut list = TopicPartitionList::new();
    list.add_partition(&name, partition);
    let found = reading::committed(&member.broker, &consumer, &list, |_| false);
    let found = found.map_err(|error| trouble::told(&format!("offsets of group {:?}", member.group), &error))?;
    let (low, high) = member.broker.watermarks(&name, partition)?;
    let (mark, note) =
        reading::stands(&found, &name, partition).filter(|(mark, _)| (low..=high).contains(mark)).unwrap_or((low, String::new()));
    let mut log = Log::new(name.clone(), progress_of(&name, partition, mark, &note));
    log.known_end = high;
    Ok(log)
}

fn add(member: &Membership, cell: &Arc<Cell>, tier: Tier, log: Log) -> Result<(), BrokerError> {
    let Some(retrier) = member.retrier() else { return Err(BrokerError::reconnect(format!("group {:?} was left", member.group))) };
    let (name, mark, partition) = (log.topic.clone(), log.progress.mark(), cell.book().partition);
    // Else the client would find out who has the partition a second later, or two. One that lost its connections while it read nothing was seen
    // that never makes another: so the member, and this client with it, is made anew, and not asked again.
    let asked = retrier.fetch_metadata(Some(&name), member.broker.patience());
    asked.map_err(|error| BrokerError { fix: Fix::Reconnect, ..trouble::told(&format!("the client of topic {name:?}"), &error) })?;
    let none = || BrokerError::reconnect(format!("no queue for partition {partition} of {name:?}"));
    let queue = retrier.split_partition_queue(&name, partition).ok_or_else(none)?;
    let mut list = TopicPartitionList::new();
    let _ = list.add_partition_offset(&name, partition, Offset::Offset(mark));
    let _reading = lock(&member.reading);
    // Another lane may read it by now, and nobody would stop this one.
    if cell.book().ended {
        return Err(BrokerError::reconnect(format!("the lane of {name:?} was taken away")));
    }
    cell.book().add_tier(tier, log);
    cell.arrive(tier, queue);
    retrier.incremental_assign(&list).map_err(|error| {
        // It is tried again.
        cell.book().remove_tier(tier);
        BrokerError::reconnect(format!("reading {name:?}: {error}"))
    })
}

/// The retries of a group on one partition of a tier that are not finished.
fn waiting(
    broker: &Broker,
    (topic, id): (&str, u128),
    group: &str,
    partition: i32,
    tier: Tier,
    log: &Log,
) -> Result<Vec<Waiting>, BrokerError> {
    let mut all = Vec::new();
    if log.progress.mark() == log.known_end {
        return Ok(all);
    }
    reading::each(broker, &log.topic, partition, log.progress.mark(), log.known_end, |message| {
        let journey = record::read(message).and_then(|sorted| sorted.journey).filter(|journey| is_ours(journey, topic, group));
        let finished = log.progress.inherited().contains(message.offset().cast_unsigned());
        if let (Some(journey), false) = (journey, finished) {
            let position = position(&journey, id, tier, message.offset());
            all.push(Waiting { position, key: message.key().map(<[u8]>::to_vec) });
        }
        true
    })?;
    Ok(all)
}

/// Whether a copy is of that topic and group: two pairs may share the name of a topic of retries.
pub(super) fn is_ours(journey: &Journey, topic: &str, group: &str) -> bool {
    journey.topic == topic && journey.group == group
}

#[cfg(test)]
mod tests {
    use super::super::place::Place;
    use super::*;

    #[test]
    fn a_copy_stands_at_its_messages_place_unless_the_topic_is_another() {
        let (message, own) = (Place::new(0, 7).position(), redriven(Tier::FIRST, 3));
        let check = |position: u64, of: u128, now: u128, expected: u64| {
            let journey = Journey { position, topic_id: of, ..Journey::default() };
            assert_eq!(super::position(&journey, now, Tier::FIRST, 3), expected, "{position} of {of}, now {now}");
        };
        check(message, 5, 5, message);
        check(message, 5, 6, own);
        check(0, 5, 5, own);
        // Who does not know takes it for the same.
        check(message, 0, 6, message);
        check(message, 5, 0, message);
    }
}
