//! What happens to lanes in a rebalance. Runs on the member's thread, and may take its time: the group waits for partitions that move, and
//! for no others.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{BrokerError, Fix};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use tokio::time::Instant;

use super::book::{Book, progress_of};
use super::cell::Cell;
use super::member::{Assigned, Membership, lock};
use super::{reading, retries, starts, trouble};

/// How long a lane that is taken away may take to settle what it has.
const LET_GO: Duration = Duration::from_secs(3);
/// How often the offsets of a group are asked for before the subscription is made anew.
const TRIES: usize = 3;

/// The context of a member's client.
pub(super) struct Incoming(pub(super) Arc<Membership>);

impl ClientContext for Incoming {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.broker.watch.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.broker.watch.error(&error, reason);
    }
}

impl ConsumerContext for Incoming {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let done = if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.0.set_assignment(consumer);
            match self.0.begin(consumer, list) {
                Ok(()) if list.count() > 0 => self.0.broker.let_in(&self.0.group),
                Ok(()) => {}
                // The partitions are ours, and have no lanes: only another assignment brings some.
                Err(error) => {
                    let fix = if error.fix == Fix::GiveUp { Fix::GiveUp } else { Fix::Reconnect };
                    self.0.fail(BrokerError { fix, ..error });
                }
            }
            let done = if cooperative { consumer.incremental_assign(list) } else { consumer.assign(list) };
            self.0.joined.send_replace(true);
            done
        } else {
            self.0.end(consumer, list);
            if cooperative { consumer.incremental_unassign(list) } else { consumer.unassign() }
        };
        if let Err(error) = done {
            self.0.fail(BrokerError::reconnect(format!("group {:?}: {error}", self.0.group)));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        self.0.committed(&result, offsets);
    }
}

impl Membership {
    /// Partitions came: each becomes a lane, which begins where the group stands.
    fn begin(&self, consumer: &BaseConsumer<Incoming>, list: &mut TopicPartitionList) -> Result<(), BrokerError> {
        if list.count() == 0 {
            return Ok(());
        }
        let committed = self.where_it_stands(consumer, list)?;
        let ids = self.broker.topic_ids(committed.iter().map(|(topic, _, _)| topic.clone()))?;
        let mut begun = Vec::new();
        for (topic, partition, stands) in committed {
            let (low, high) = self.broker.watermarks(&topic, partition)?;
            let (mark, note, new) = match stands {
                Some((offset, note)) if (low..=high).contains(&offset) => (offset, note, false),
                Some((offset, _)) => {
                    // Removed before it was read, or another topic of that name: what is there is read.
                    tracing::error!(topic, partition, group = %self.group, "offset {offset} is gone, there are {low} to {high}: going on at {low}");
                    (low, String::new(), false)
                }
                None => (starts::of(self, &topic, partition, (low, high))?, String::new(), true),
            };
            let mut book = Book::new(&topic, partition, progress_of(&topic, partition, mark, &note));
            book.is_once = self.desk.is_some();
            book.topic_id = ids.get(&topic).copied().unwrap_or_default();
            if !new {
                book.committed(None, mark, note);
            }
            let _ = list.set_partition_offset(&topic, partition, Offset::Offset(mark));
            begun.push((topic, partition, book));
        }
        // Where new ones begin is fixed before anybody is told.
        let mut cells = Vec::new();
        for (topic, partition, book) in begun {
            let (cell, in_use) = Cell::new(book);
            let own = self.consumer().and_then(|own| own.split_partition_queue(&topic, partition));
            let Some(mut queue) = own else {
                return Err(BrokerError::reconnect(format!("no queue for partition {partition} of {topic:?}")));
            };
            let came = Arc::clone(&cell.came);
            queue.set_nonempty_callback(move || came.notify_one());
            self.lanes().insert((topic, partition), Arc::clone(&cell));
            cells.push(Arc::clone(&cell));
            self.push(Ok(Assigned { cell, in_use, queue }));
        }
        if self.desk.is_some() {
            return self.commit_now(&cells);
        }
        let _fence = lock(&self.committing);
        self.commit_fenced(consumer, &cells, CommitMode::Sync)
    }

    /// What the group committed of these partitions, as offset and note.
    #[expect(clippy::type_complexity, reason = "used once")]
    fn where_it_stands(
        &self,
        consumer: &BaseConsumer<Incoming>,
        list: &TopicPartitionList,
    ) -> Result<Vec<(String, i32, Option<(i64, String)>)>, BrokerError> {
        let mut tries = 1;
        let found = loop {
            match reading::committed(&self.broker, consumer, list, |_| false) {
                Ok(found) => break found,
                Err(error) if tries == TRIES => {
                    return Err(BrokerError::reconnect(trouble::told(&format!("offsets of group {:?}", self.group), &error).what));
                }
                Err(_) => tries += 1,
            }
        };
        let mut all = Vec::new();
        for entry in found.elements() {
            entry.error().map_err(|error| trouble::told(&format!("offsets of group {:?}", self.group), &error))?;
            all.push((entry.topic().to_owned(), entry.partition(), reading::stands(&found, entry.topic(), entry.partition())));
        }
        Ok(all)
    }

    /// Partitions go: their lanes let go, what they settled is committed, and nothing of them is after that. What was lost is another's
    /// already: of that nothing is committed.
    fn end(&self, consumer: &BaseConsumer<Incoming>, list: &TopicPartitionList) {
        let lost = consumer.assignment_lost();
        let gone: Vec<Arc<Cell>> = {
            let mut lanes = self.lanes();
            list.elements().iter().filter_map(|entry| lanes.remove(&(entry.topic().to_owned(), entry.partition()))).collect()
        };
        for cell in &gone {
            cell.revoke();
            self.forget_ready(cell);
        }
        if lost {
            tracing::warn!(group = %self.group, partitions = gone.len(), "partitions were lost: what was not committed comes again");
        } else {
            let until = Instant::now() + LET_GO;
            gone.iter().for_each(|cell| cell.await_done(until.saturating_duration_since(Instant::now())));
        }
        let fence = lock(&self.committing);
        // What settles exactly once has committed what is settled, but for what ended while these lanes let go: the brokers know of a later
        // assignment, and refuse it. It never was there, and whoever has the partition next handles it again.
        if !lost
            && self.desk.is_none()
            && let Err(error) = self.commit_fenced(consumer, &gone, CommitMode::Sync)
        {
            tracing::warn!("{error}: what was settled last may come again");
        }
        gone.iter().for_each(|cell| cell.book().ended = true);
        drop(fence);
        gone.iter().for_each(|cell| retries::stop(self, cell));
    }
}
