//! Reading parts of partitions, outside of any group.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use longshore_core::BrokerError;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::broker::{Broker, persist};
use super::{properties, trouble};

/// Name under which is read; nothing is committed with it.
const READER: &str = "longshore-reader";
/// Between two looks at the clock.
const TURN: Duration = Duration::from_millis(100);
/// How long the brokers take at most to notice that a transaction took too long: `transaction.abort.timed.out.transaction.cleanup.interval.ms`.
const UNTIL_ENDED: Duration = Duration::from_secs(11);

/// Hands each message of a partition from `from` on and below `to` to `take`, until it says that it has enough. Blocks.
pub(super) fn each(
    broker: &Broker,
    topic: &str,
    partition: i32,
    from: i64,
    to: i64,
    mut take: impl FnMut(&BorrowedMessage<'_>) -> bool,
) -> Result<(), BrokerError> {
    if from >= to {
        return Ok(());
    }
    let doing = || format!("reading partition {partition} of topic {topic:?}");
    let reader = broker.reader(READER, true)?;
    let mut list = TopicPartitionList::new();
    let _ = list.add_partition_offset(topic, partition, Offset::Offset(from));
    reader.assign(&list).map_err(|error| trouble::told(&doing(), &error))?;
    let mut until = Instant::now() + broker.patience();
    loop {
        match reader.poll(TURN) {
            // What is behind the last may be nothing that a reader sees.
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Ok(message)) if message.offset() >= to => return Ok(()),
            Some(Ok(message)) => {
                until = Instant::now() + broker.patience();
                if !take(&message) || message.offset() + 1 >= to {
                    return Ok(());
                }
            }
            // The name is that of no group: no right to it is needed.
            Some(Err(error)) if error.rdkafka_error_code() == Some(Code::GroupAuthorizationFailed) => {}
            Some(Err(error)) if trouble::told("", &error).fix != longshore_core::Fix::Retry => return Err(trouble::told(&doing(), &error)),
            _ if Instant::now() > until => return Err(BrokerError::retry(format!("{}: nothing came in time", doing()))),
            _ => {}
        }
    }
}

/// What a group committed of partitions. While a transaction that has some is under way nobody knows, so its end is waited for. Blocks.
pub(super) fn committed<C: ConsumerContext>(
    broker: &Broker,
    consumer: &BaseConsumer<C>,
    list: &TopicPartitionList,
    passes: impl Fn(Code) -> bool,
) -> Result<TopicPartitionList, KafkaError> {
    let timeout = properties::transaction_timeout(&broker.config);
    let most = broker.patience().max(timeout + UNTIL_ENDED);
    let (began, told) = (Instant::now(), Cell::new(false));
    let passes = |code| code == Code::UnstableOffsetCommit || passes(code);
    persist((most, TURN), passes, || {
        let found = consumer.committed_offsets(list.clone(), broker.patience())?;
        let unstable = found.elements().into_iter().find_map(|entry| {
            let error = entry.error().err().filter(|error| error.rdkafka_error_code() == Some(Code::UnstableOffsetCommit))?;
            Some((entry.topic().to_owned(), entry.partition(), error))
        });
        let Some((topic, partition, error)) = unstable else { return Ok(found) };
        if began.elapsed() >= timeout && !told.replace(true) {
            tracing::warn!(
                topic,
                partition,
                "a transaction that has the group's offset is not over, and the brokers do not end it: it is waited for"
            );
        }
        Err(error)
    })
}

/// What a list of committed offsets says of a partition: offset and note.
pub(super) fn stands(list: &TopicPartitionList, topic: &str, partition: i32) -> Option<(i64, String)> {
    let entry = list.find_partition(topic, partition)?;
    let Offset::Offset(offset) = entry.offset() else { return None };
    // The client takes for granted that it is text.
    let note = catch_unwind(AssertUnwindSafe(|| entry.metadata().to_owned())).unwrap_or_else(|_| "not text".into());
    Some((offset, note))
}

impl Broker {
    /// The offset of the first message of a partition at or after a time. Blocks.
    pub(super) fn offset_at(&self, topic: &str, partition: i32, millis: u64) -> Result<Option<i64>, BrokerError> {
        let mut list = TopicPartitionList::new();
        let at = i64::try_from(millis).unwrap_or(i64::MAX);
        let _ = list.add_partition_offset(topic, partition, Offset::Offset(at));
        let found = self.reader(READER, false)?.offsets_for_times(list, self.patience());
        let found = found.map_err(|error| trouble::told(&format!("partition {partition} of topic {topic:?}"), &error))?;
        Ok(match found.find_partition(topic, partition).map(|entry| entry.offset()) {
            Some(Offset::Offset(offset)) => Some(offset),
            _ => None,
        })
    }
}
