//! Dead letters: given back to the group that failed, as copies among its retries, or removed.
//!
//! Nothing can be taken out of the middle of a Kafka topic. Which letters are gone is kept as a group keeps what it has finished: as offset
//! and note, of a group of our own; what is gone up to a place is also deleted. Letters are given back in one transaction with that, so that
//! each goes once, however often it is interrupted, and by however many at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use longshore_core::{BoxFuture, BrokerError, DeadLetters, Ranges, headers};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::broker::{Broker, blocking};
use super::making::of_removing;
use super::member::lock;
use super::names::{Tier, check_group, check_topic};
use super::place::Place;
use super::progress::Progress;
use super::record::{self, Journey};
use super::standing::Stands;
use super::watch::Quiet;
use super::{note, properties, reading, trouble};
use crate::letter;

/// Held while this process takes letters out: two transactions of one topic would fence each other.
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// The group that keeps which letters are gone.
pub(super) const REMOVED: &str = "longshore-removed";

/// The role of dead letters.
pub(super) struct Letters(pub(super) Arc<Broker>);

impl DeadLetters for Letters {
    fn redrive<'a>(&'a self, topic: &'a str, positions: &'a [u64]) -> BoxFuture<'a, Result<u64, BrokerError>> {
        Box::pin(async move {
            let (broker, name, places) = (Arc::clone(&self.0), topic.to_owned(), places(positions));
            let letters = blocking(move || read(&broker, &name, &places)).await?;
            for origin in letters.iter().map(|letter| &letter.origin) {
                self.0.ensure(&origin.topic).await?;
                self.0.ensure_retries(&origin.topic, &origin.group, Tier::FIRST, origin.partition.unwrap_or(0)).await?;
            }
            self.take_out(topic, letters.iter().map(|letter| letter.place).collect(), letters).await
        })
    }

    fn remove<'a>(&'a self, topic: &'a str, positions: &'a [u64]) -> BoxFuture<'a, Result<u64, BrokerError>> {
        Box::pin(self.take_out(topic, places(positions), Vec::new()))
    }
}

impl Letters {
    async fn take_out(&self, topic: &str, places: BTreeSet<Place>, given_back: Vec<Letter>) -> Result<u64, BrokerError> {
        if places.is_empty() {
            return Ok(0);
        }
        let (broker, name) = (Arc::clone(&self.0), topic.to_owned());
        let (count, gone) = blocking(move || take_out(&broker, &name, &places, &given_back)).await?;
        if gone.count() > 0 {
            let deleted = self.0.admin.delete_records(&gone, &self.0.admin_options()).await;
            // They are gone for us all the same.
            if let Err(error) = deleted {
                tracing::debug!("{}", of_removing(topic, &error));
            }
        }
        Ok(count)
    }
}

/// Which letters of a topic are gone.
pub(super) struct Removed(Stands);

impl Removed {
    /// Blocks.
    pub(super) fn of(broker: &Broker, topic: &str, partitions: i32) -> Result<Self, BrokerError> {
        Ok(Removed(broker.stands(REMOVED, &[(topic.to_owned(), partitions)])?.remove(topic).unwrap_or_default()))
    }

    pub(super) fn has(&self, partition: i32, offset: i64) -> bool {
        let gone = |progress: &Progress| offset < progress.mark() || progress.inherited().contains(offset.cast_unsigned());
        self.progress(partition).is_some_and(gone)
    }

    pub(super) fn progress(&self, partition: i32) -> Option<&Progress> {
        self.0.get(&partition)
    }
}

/// A letter that goes back.
struct Letter {
    place: Place,
    origin: Origin,
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
    timestamp: u64,
}

/// What its headers say of a dead letter.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    topic: String,
    group: String,
    id: String,
    redrives: u32,
    /// The partition that it came from, where that is told.
    partition: Option<i32>,
}

fn places(positions: &[u64]) -> BTreeSet<Place> {
    positions.iter().filter_map(|position| Place::of(*position)).filter(|place| place.offset >= 0).collect()
}

/// The letters at these places that can go back. Blocks.
fn read(broker: &Broker, topic: &str, places: &BTreeSet<Place>) -> Result<Vec<Letter>, BrokerError> {
    let mut letters = Vec::new();
    let Some(count) = broker.partitions(topic)? else { return Ok(letters) };
    let removed = Removed::of(broker, topic, count)?;
    for partition in 0..count {
        let wanted = |offset| places.contains(&Place::new(partition, offset)) && !removed.has(partition, offset);
        let mut offsets = places.iter().filter(|place| place.partition == partition).map(|place| place.offset);
        let Some(first) = offsets.next() else { continue };
        let last = offsets.next_back().unwrap_or(first);
        let (low, high) = broker.watermarks(topic, partition)?;
        reading::each(broker, topic, partition, first.max(low), (last + 1).min(high), |message| {
            if wanted(message.offset()) {
                match read_one(message) {
                    Ok(letter) => letters.push(letter),
                    Err(why) => tracing::warn!("message {topic}/{partition}/{} is not given back: {why}", message.offset()),
                }
            }
            true
        })?;
    }
    Ok(letters)
}

fn read_one(message: &BorrowedMessage<'_>) -> Result<Letter, String> {
    let sorted = record::read(message).ok_or("its headers are no text")?;
    let origin = origin(&sorted.list, sorted.id)?;
    let kept = sorted.list.iter().filter(|(name, _)| !name.starts_with(headers::DEAD_PREFIX));
    Ok(Letter {
        place: Place::new(message.partition(), message.offset()),
        origin,
        key: message.key().map(Into::into),
        payload: message.payload().map(Into::into),
        headers: kept.map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect(),
        timestamp: message.timestamp().to_millis().and_then(|millis| u64::try_from(millis).ok()).unwrap_or(0),
    })
}

/// Where a dead letter comes from, or why it is none.
fn origin(list: &[(&str, &[u8])], id: Option<&str>) -> Result<Origin, String> {
    let told = letter::origin(|name| list.iter().find(|(n, _)| *n == name).map(|(_, value)| *value))
        .map_err(|what| format!("{what}; publish it where it should go instead"))?;
    check_topic(told.topic)?;
    check_group(told.group, told.topic)?;
    Ok(Origin {
        topic: told.topic.into(),
        group: told.group.into(),
        id: told.id.or(id).unwrap_or_default().into(),
        redrives: told.redrives,
        partition: told.position.and_then(Place::of).map(|place| place.partition),
    })
}

/// Takes letters out and gives them back, or some of neither. Says how many there were, and up to where all are gone. Blocks.
fn take_out(
    broker: &Broker,
    topic: &str,
    places: &BTreeSet<Place>,
    given_back: &[Letter],
) -> Result<(u64, TopicPartitionList), BrokerError> {
    let _turn = lock(&TURN);
    let doing = |error: KafkaError| trouble::told(&format!("dead letters of {topic:?}"), &error);
    let mut gone = TopicPartitionList::new();
    let Some(count) = broker.partitions(topic)? else { return Ok((0, gone)) };
    let patience = broker.patience();
    let producer = transaction(broker, topic)?;
    // From here on nobody else takes any out who began before.
    producer.init_transactions(patience).map_err(doing)?;
    let removed = Removed::of(broker, topic, count)?;
    let (mut taken, mut list) = (0, TopicPartitionList::new());
    let mut offsets: BTreeMap<i32, Ranges> = BTreeMap::new();
    for place in places.iter().filter(|place| place.partition < count && !removed.has(place.partition, place.offset)) {
        let (low, high) = broker.watermarks(topic, place.partition)?;
        if (low..high).contains(&place.offset) {
            offsets.entry(place.partition).or_default().insert(place.offset.cast_unsigned());
            taken += 1;
        }
    }
    for (partition, more) in &offsets {
        let (low, _) = broker.watermarks(topic, *partition)?;
        let progress = without(removed.progress(*partition), more, low);
        let text = note::write(&progress, false);
        if note::read(progress.mark(), &text).is_none_or(|(kept, ..)| kept != *progress.inherited()) {
            let what = format!("more dead letters of {topic:?} were removed from the middle than can be kept in mind");
            return Err(BrokerError::give_up(format!("{what}: remove the oldest first")));
        }
        add(&mut list, topic, *partition, &progress);
        let _ = gone.add_partition_offset(topic, *partition, Offset::Offset(progress.mark()));
    }
    if taken == 0 {
        return Ok((0, TopicPartitionList::new()));
    }
    let is_taken = |letter: &&Letter| offsets.get(&letter.place.partition).is_some_and(|o| o.contains(letter.place.offset.cast_unsigned()));
    let letters: Vec<&Letter> = given_back.iter().filter(is_taken).collect();
    commit(broker, &producer, &letters, &list).map_err(doing)?;
    Ok((taken, gone))
}

/// Commits again which letters are gone, of every topic of them. As in [`take_out`], nobody else takes any out meanwhile who began before, so
/// what is committed is what is so. Blocks.
pub(super) fn commit_again(broker: &Broker) -> Result<(), BrokerError> {
    let topics = broker.all_topics()?;
    for topic in broker.stands(REMOVED, &topics)?.into_keys() {
        commit_again_of(broker, &topic)?;
    }
    Ok(())
}

fn commit_again_of(broker: &Broker, topic: &str) -> Result<(), BrokerError> {
    let _turn = lock(&TURN);
    let doing = |error: KafkaError| trouble::told(&format!("dead letters of {topic:?}"), &error);
    let Some(count) = broker.partitions(topic)? else { return Ok(()) };
    let producer = transaction(broker, topic)?;
    producer.init_transactions(broker.patience()).map_err(doing)?;
    let removed = Removed::of(broker, topic, count)?;
    let mut list = TopicPartitionList::new();
    removed.0.iter().for_each(|(partition, progress)| add(&mut list, topic, *partition, progress));
    if list.count() == 0 {
        return Ok(());
    }
    commit(broker, &producer, &[], &list).map_err(doing)
}

/// What is to be committed of a partition.
fn add(list: &mut TopicPartitionList, topic: &str, partition: i32, progress: &Progress) {
    let text = note::write(progress, false);
    let mut entry = list.add_partition(topic, partition);
    let _ = entry.set_offset(Offset::Offset(progress.mark()));
    if !text.is_empty() {
        entry.set_metadata(&text);
    }
}

/// Gives letters back and commits which are gone, in one transaction.
fn commit(broker: &Broker, producer: &BaseProducer<Quiet>, letters: &[&Letter], list: &TopicPartitionList) -> Result<(), KafkaError> {
    let patience = broker.patience();
    let within = || {
        let group: BaseConsumer<Quiet> =
            properties::reader(&broker.common, REMOVED).create_with_context(Quiet(Arc::clone(&broker.watch)))?;
        let metadata = group.group_metadata().ok_or(KafkaError::Canceled)?;
        producer.begin_transaction()?;
        letters.iter().try_for_each(|letter| send(producer, letter))?;
        producer.send_offsets_to_transaction(list, &metadata, patience)?;
        producer.commit_transaction(patience)
    };
    within().inspect_err(|_| {
        // What readers wait for else until it runs out.
        let _ = producer.abort_transaction(patience);
    })
}

/// What is gone once more is.
fn without(before: Option<&Progress>, more: &Ranges, low: i64) -> Progress {
    let (mut mark, mut gone) = before.map_or((low, Ranges::default()), |before| (before.mark().max(low), before.inherited().clone()));
    more.iter().for_each(|(from, to)| gone.insert_range(from, to));
    loop {
        let first = gone.iter().next();
        let Some((_, to)) = first.filter(|(from, _)| *from <= mark.cast_unsigned()) else { break };
        mark = mark.max(to.cast_signed() + 1);
        gone.remove_up_to(to);
    }
    Progress::new(mark, gone, Vec::new())
}

fn transaction(broker: &Broker, topic: &str) -> Result<BaseProducer<Quiet>, BrokerError> {
    let mut config = properties::producer(&broker.common, &broker.config);
    config.set("transactional.id", format!("longshore-removed-{topic}"));
    config.set("transaction.timeout.ms", broker.patience().as_millis().to_string());
    config.create_with_context(Quiet(Arc::clone(&broker.watch))).map_err(|error| trouble::told("a producer", &error))
}

fn send(producer: &BaseProducer<Quiet>, letter: &Letter) -> Result<(), KafkaError> {
    let Origin { topic, group, id, redrives, partition } = &letter.origin;
    let journey = Journey {
        topic: topic.clone(),
        group: group.clone(),
        attempt: 1,
        redrives: redrives.saturating_add(1),
        timestamp: letter.timestamp,
        ..Journey::default()
    };
    let name = Tier::FIRST.topic(topic, group);
    let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&name);
    (record.partition, record.key, record.payload) = (*partition, letter.key.as_deref(), letter.payload.as_deref());
    let list = letter.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
    record.headers = record::write(list, id, Some(&journey));
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(rdkafka::error::RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(std::time::Duration::from_millis(100));
                record = back;
            }
            Err((error, _)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_from_the_beginning_is_told_by_an_offset_alone() {
        let ranges = |all: &[(u64, u64)]| {
            let mut ranges = Ranges::default();
            all.iter().for_each(|(from, to)| ranges.insert_range(*from, *to));
            ranges
        };
        let check = |before: Option<&Progress>, more: &[(u64, u64)], low: i64, mark: i64, above: &[(u64, u64)]| {
            let after = without(before, &ranges(more), low);
            assert_eq!((after.mark(), after.inherited().iter().collect::<Vec<_>>()), (mark, above.to_vec()));
        };
        check(None, &[(3, 3)], 0, 0, &[(3, 3)]);
        let some = Progress::new(2, ranges(&[(4, 5)]), Vec::new());
        check(Some(&some), &[(2, 3)], 0, 6, &[]);
        check(Some(&some), &[(9, 9)], 4, 6, &[(9, 9)]);
    }

    #[test]
    fn a_letter_tells_where_it_comes_from() {
        let facts: [(&str, &[u8]); 4] = [
            (headers::DEAD_TOPIC, b"orders"),
            (headers::DEAD_GROUP, b"billing"),
            (headers::DEAD_SOURCE, b"default/orders/2199023255559"),
            (headers::DEAD_REDRIVES, b"2"),
        ];
        let origin = origin(&facts, Some("own")).expect("a letter");
        assert_eq!((origin.partition, origin.redrives, origin.id.as_str()), (Some(2), 2, "own"));
        assert!(super::origin(&facts[..1], None).expect_err("no group").contains(headers::DEAD_GROUP));
    }
}
