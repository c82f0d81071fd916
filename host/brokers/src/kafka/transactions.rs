//! The producer of transactions of one member of a group. It has a name of its own (`transactional.id`): one that failed for good is made anew
//! under the same, and with that what the one before left open is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use longshore_core::{BrokerError, Clock, Fix};
use rdkafka::ClientConfig;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer as _;
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::time::Instant;

use super::broker::Broker;
use super::post::{Fate, Letter, Native, Outgoing, send_blocking};
use super::{properties, trouble};

/// Prefix of the names of producers.
pub(super) const PREFIX: &str = "longshore-once-";

/// How much longer than it was told to the client may take.
const HANGS: Duration = Duration::from_secs(1);

/// Before it is asked again what did not pass.
const AGAIN: Duration = Duration::from_millis(20);

/// Makes transactions, one at a time.
pub(super) struct Transactions {
    /// What is done, for a person.
    doing: String,
    config: ClientConfig,
    context: Outgoing,
    /// How long the answer to one question may take.
    patience: Duration,
    native: Option<Native>,
}

/// Why there is no transaction, or none that is known of.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nothing of it is there: records were not taken, each of which has its answer.
    Records(Vec<Fate>),
    /// Nothing of it is there.
    Undone(BrokerError, Option<Code>),
    /// Nobody knows: its end was asked for, and there was no answer.
    Unknown(BrokerError),
}

impl Transactions {
    /// For a member of a group.
    pub(super) fn new(broker: &Broker, group: &str) -> Self {
        let config = properties::transactions(&broker.common, &broker.config, &name(group));
        let context = Outgoing::new(Arc::clone(&broker.watch), &config);
        let patience = broker.patience().min(properties::transaction_timeout(&broker.config));
        Transactions { doing: format!("a transaction of group {group:?}"), config, context, patience, native: None }
    }

    /// Sees to it that there is a producer, and that no transaction is open that one before it began. Blocks.
    pub(super) fn ready(&mut self) -> Result<(), BrokerError> {
        let native = self.take()?;
        self.native = Some(native);
        Ok(())
    }

    fn take(&mut self) -> Result<Native, BrokerError> {
        if let Some(native) = self.native.take() {
            return Ok(native);
        }
        let native: Native = self.config.create_with_context(self.context.clone()).map_err(|error| self.told(&error))?;
        self.persist(&native, |native, left| native.init_transactions(left)).map_err(|error| self.told(&error))?;
        Ok(native)
    }

    /// Makes a transaction of records and offsets, or none. The brokers refuse the offsets of a member that the group has no more, or that missed
    /// a later assignment than that of `member`. Blocks.
    pub(super) fn commit(
        &mut self,
        letters: Vec<Letter<'_>>,
        offsets: &TopicPartitionList,
        member: &Arc<ConsumerGroupMetadata>,
    ) -> Result<Vec<Fate>, Failed> {
        let native = self.take().map_err(|error| Failed::Undone(error, None))?;
        let done = self.transact(&native, letters, offsets, member);
        let is_over = match &done {
            Ok(_) => true,
            // Nobody asked for its end, so it never is there, whatever becomes of it.
            Err(Failed::Undone(..)) => self.abort(&native).is_ok(),
            Err(Failed::Records(_)) => {
                let _ = self.abort(&native);
                // What was not taken leaves a gap in the producer's numbers, which the brokers do not take for one.
                false
            }
            Err(Failed::Unknown(_)) => false,
        };
        if is_over {
            self.native = Some(native);
        } else {
            tracing::debug!("{}: its producer is made anew", self.doing);
            // It waits for threads of its own.
            std::thread::spawn(move || drop(native));
        }
        done
    }

    fn transact(
        &self,
        native: &Native,
        letters: Vec<Letter<'_>>,
        offsets: &TopicPartitionList,
        member: &Arc<ConsumerGroupMetadata>,
    ) -> Result<Vec<Fate>, Failed> {
        let undone = |error: KafkaError| match error {
            // Whoever hangs may go on.
            KafkaError::Canceled => Failed::Unknown(self.told(&error)),
            error => Failed::Undone(self.told(&error), error.rdkafka_error_code()),
        };
        native.begin_transaction().map_err(undone)?;
        let fates = send_blocking(native, letters);
        if fates.iter().any(|fate| fate.is_err_and(is_of_record)) {
            return Err(Failed::Records(fates));
        }
        // Where the transaction failed as a whole, its records were thrown away, and this tells why.
        let (offsets, member) = (offsets.clone(), Arc::clone(member));
        self.persist(native, move |native, left| native.send_offsets_to_transaction(&offsets, &member, left)).map_err(undone)?;
        if fates.iter().any(Result::is_err) {
            return Err(Failed::Undone(BrokerError::retry(format!("{}: its records were thrown away", self.doing)), None));
        }
        let committed = self.persist(native, |native, left| native.commit_transaction(left));
        committed.map_err(|error| Failed::Unknown(self.told(&error)))?;
        Ok(fates)
    }

    fn abort(&self, native: &Native) -> Result<(), KafkaError> {
        self.persist(native, |native, left| native.abort_transaction(left))
    }

    /// Asks again as long as that may help. The client may not answer in the time that it is told: `send_offsets_to_transaction` waits for
    /// word of the group's coordinator, whatever time it takes (librdkafka 2.12, `rd_kafka_coord_req`). So it is asked on a thread that is left
    /// to itself then, and its producer with it, which nobody else uses any more. Offsets that it sends late are of a transaction whose end
    /// nobody asks for. An end that it asks for late is of one that has its offsets, and whoever gets the partitions waits for that.
    fn persist(
        &self,
        native: &Native,
        ask: impl Fn(&Native, Duration) -> Result<(), KafkaError> + Send + 'static,
    ) -> Result<(), KafkaError> {
        let (native, until) = (native.clone(), Instant::now() + self.patience);
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let said = loop {
                match ask(&native, until.saturating_duration_since(Instant::now())) {
                    // Some are told at once.
                    Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() + AGAIN < until => {
                        std::thread::sleep(AGAIN)
                    }
                    said => break said,
                }
            };
            drop(native);
            // Nobody waits any more.
            let _ = answer.send(said);
        });
        answered.recv_timeout(self.patience + HANGS).unwrap_or(Err(KafkaError::Canceled))
    }

    /// Nothing is lost by it, so it is tried again as long as it takes, but for what only a human mends.
    fn told(&self, error: &KafkaError) -> BrokerError {
        let told = match error {
            KafkaError::Canceled => BrokerError::retry(format!("{}: the client does not answer", self.doing)),
            error => trouble::told(&self.doing, error),
        };
        let fix = if told.fix == Fix::GiveUp { Fix::GiveUp } else { Fix::Retry };
        let code = error.rdkafka_error_code();
        tracing::debug!(?code, "{}: {error}", self.doing);
        BrokerError { fix, ..told }
    }
}

/// Whether it is the record's own trouble, and not that of the whole transaction, of which all records are thrown away.
fn is_of_record(code: Code) -> bool {
    !matches!(code, Code::PurgeQueue | Code::PurgeInflight)
}

/// A name that no producer has, on any host, now or later.
fn name(group: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Without randomness of the system, two that begin at once may end each other's transactions: nothing is lost by it.
    let random = getrandom::u64().unwrap_or_else(|_| Clock::system().now().rotate_left(32) ^ u64::from(std::process::id()));
    let random = random.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed));
    format!("{PREFIX}{group}-{random:016x}")
}
