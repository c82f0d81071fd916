//! One connected cluster: its clients, and what is asked of it by whatever role. Calls that block are made on threads for that.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_core::{BoxFuture, BrokerError, Clock, Connect, Connection, Finding, Fix, TopicSettings};
use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer as _;
use tokio::time::Instant;

use super::config::Config;
use super::departures::Departures;
use super::keep::Letters;
use super::post::Post;
use super::watch::{Quiet, Watch};
use super::{properties, rights, trouble};

/// Between two questions for a leader that does not know yet that it is one.
const LOOK: Duration = Duration::from_millis(20);

/// A cluster that was reached.
pub(super) struct Broker {
    pub(super) config: Config,
    /// What every client is told.
    pub(super) common: ClientConfig,
    pub(super) watch: Arc<Watch>,
    pub(super) clock: Clock,
    pub(super) post: Post,
    pub(super) admin: AdminClient<Quiet>,
    /// Asks for metadata and watermarks, and reads nothing.
    asking: BaseConsumer<Quiet>,
    /// How topics are kept that are kept in a way of their own.
    pub(super) kept: BTreeMap<String, TopicSettings>,
    /// Partitions of topics that were seen or made.
    pub(super) known: Mutex<HashMap<String, i32>>,
    /// Groups that gave us partitions.
    let_in: Mutex<BTreeSet<String>>,
    /// Members of groups in this process, those that are leaving among them.
    pub(super) departures: Departures,
    /// When it is time to keep which dead letters are gone.
    pub(super) letters: Letters,
}

impl Broker {
    /// Connects, within `connect-timeout`.
    pub(super) async fn open(config: Config, connect: Connect) -> Result<Arc<Self>, BrokerError> {
        // Before a client does it: then OpenSSL would take itself apart when the process ends, under the threads of clients that still use it.
        openssl_sys::init();
        let common = properties::common(&config, &connect)?;
        let watch = Watch::new(&connect.name, config.bootstrap_servers.text(), config.protocol().encrypts());
        let wrong = |error: KafkaError| BrokerError { fix: Fix::GiveUp, ..trouble::told("Kafka", &error) };
        let quiet = Quiet(Arc::clone(&watch));
        let broker = Broker {
            post: Post::new(properties::producer(&common, &config), Arc::clone(&watch)).map_err(wrong)?,
            admin: common.create_with_context(quiet.clone()).map_err(wrong)?,
            asking: common.create_with_context(quiet).map_err(wrong)?,
            kept: connect.topics.into_iter().collect(),
            known: Mutex::default(),
            let_in: Mutex::default(),
            departures: Departures::default(),
            letters: Letters::default(),
            clock: connect.clock,
            config,
            common,
            watch,
        };
        broker.check_kept()?;
        let broker = Arc::new(broker);
        let patience = broker.config.connect_timeout.get();
        let asked = Arc::clone(&broker);
        let answer = blocking(move || asked.post.native().client().fetch_metadata(None, patience).map(drop));
        tokio::select! {
            answer = answer => answer.map_err(|error| broker.watch.unanswered(&error.to_string()))?,
            error = broker.watch.hopeless() => return Err(error),
        }
        Ok(broker)
    }

    /// How long a broker may take.
    pub(super) fn patience(&self) -> Duration {
        self.config.request_timeout.get()
    }

    /// What is there of a topic: its partitions. Blocks.
    pub(super) fn partitions(&self, topic: &str) -> Result<Option<i32>, BrokerError> {
        let doing = || format!("topic {topic:?}");
        let metadata = self.asking.fetch_metadata(Some(topic), self.patience()).map_err(|error| trouble::told(&doing(), &error))?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
        match found.error().map(Code::from) {
            None => {}
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => return Ok(None),
            Some(code) => return Err(trouble::of_code(&doing(), code)),
        }
        if found.partitions().iter().any(|partition| partition.leader() < 0) {
            return Err(BrokerError::retry(format!("topic {topic:?} has a partition without a leader")));
        }
        Ok(i32::try_from(found.partitions().len()).ok().filter(|count| *count > 0))
    }

    /// What tells each of these topics from another of its name; nothing where the brokers are too old to tell. Blocks.
    pub(super) fn topic_ids(&self, topics: impl Iterator<Item = String>) -> Result<HashMap<String, u128>, BrokerError> {
        let topics: Vec<String> = topics.collect::<BTreeSet<_>>().into_iter().collect();
        let told = match rights::of_topics(self.admin.inner(), &topics, self.patience()) {
            Ok(told) => told,
            Err(Code::UnsupportedFeature | Code::UnsupportedVersion) => return Ok(HashMap::new()),
            Err(code) => return Err(trouble::of_code("asking for topics", code)),
        };
        let of = |(topic, told): (String, Result<rights::Told, Code>)| match told {
            Ok(told) => Ok((topic, told.id)),
            Err(code) => Err(trouble::of_code(&format!("topic {topic:?}"), code)),
        };
        told.into_iter().map(of).collect()
    }

    /// How many brokers keep a copy of a topic. Blocks.
    pub(super) fn count_copies(&self, topic: &str) -> Result<i32, BrokerError> {
        let found = self.asking.fetch_metadata(Some(topic), self.patience());
        let metadata = found.map_err(|error| trouble::told(&format!("topic {topic:?}"), &error))?;
        let first = metadata.topics().iter().flat_map(|topic| topic.partitions()).next();
        Ok(first.map_or(1, |partition| i32::try_from(partition.replicas().len()).unwrap_or(1)))
    }

    /// All topics but the server's own, with their partitions. Blocks.
    pub(super) fn all_topics(&self) -> Result<Vec<(String, i32)>, BrokerError> {
        let metadata = self.asking.fetch_metadata(None, self.patience()).map_err(|error| trouble::told("topics", &error))?;
        let theirs = metadata.topics().iter().filter(|topic| !super::names::is_internal(topic.name()));
        Ok(theirs.map(|topic| (topic.name().to_owned(), i32::try_from(topic.partitions().len()).unwrap_or(0))).collect())
    }

    /// The offset of the oldest message of a partition, and that behind the newest. Blocks.
    pub(super) fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), BrokerError> {
        self.watermarks_within(topic, partition, self.patience())
    }

    /// The same, in a time of its own.
    pub(super) fn watermarks_within(&self, topic: &str, partition: i32, most: Duration) -> Result<(i64, i64), BrokerError> {
        // A leader that was told of before it knows that itself: of a topic that was just made, or that moves.
        let found =
            persist((most, LOOK), |code| code == Code::NotLeaderForPartition, || self.asking.fetch_watermarks(topic, partition, most));
        found.map_err(|error| trouble::told(&format!("partition {partition} of topic {topic:?}"), &error))
    }

    /// The names of all groups of consumers. Blocks.
    pub(super) fn group_list(&self, group: Option<&str>) -> Result<rdkafka::groups::GroupList, BrokerError> {
        self.asking.fetch_group_list(group, self.patience()).map_err(|error| trouble::told("groups", &error))
    }

    /// A consumer that reads by itself, under the name of a group, and commits only what it is told to. Blocks, also when it is dropped.
    pub(super) fn reader(&self, group: &str, ends: bool) -> Result<BaseConsumer<Quiet>, BrokerError> {
        let mut config = properties::reader(&self.common, group);
        config.set("enable.partition.eof", ends.to_string());
        config.create_with_context(Quiet(Arc::clone(&self.watch))).map_err(|error| trouble::told("a consumer", &error))
    }

    /// That group gives us partitions.
    pub(super) fn let_in(&self, group: &str) {
        self.let_in.lock().unwrap_or_else(PoisonError::into_inner).insert(group.to_owned());
    }

    /// Whether it ever did.
    pub(super) fn was_in(&self, group: &str) -> bool {
        self.let_in.lock().unwrap_or_else(PoisonError::into_inner).contains(group)
    }

    pub(super) fn forget(&self, topic: &str) {
        self.known().remove(topic);
    }

    pub(super) fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, i32>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection for Broker {
    fn ping(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move {
            let (native, patience) = (self.post.native(), self.patience());
            let answer = blocking(move || native.client().fetch_metadata(None, patience).map(drop)).await;
            answer.map_err(|error| BrokerError { fix: Fix::Retry, ..self.watch.unanswered(&error.to_string()) })?;
            self.watch.forget();
            Ok(())
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move {
            self.departures.settled().await;
            let (native, patience) = (self.post.native(), self.patience());
            let flushed = blocking(move || if native.in_flight_count() == 0 { Ok(()) } else { native.flush(patience) }).await;
            flushed.map_err(|error| trouble::told("flushing", &error))
        })
    }

    fn check_server(&self) -> BoxFuture<'_, Result<Vec<Finding>, BrokerError>> {
        Box::pin(super::check::server(self))
    }
}

/// Asks again, for so long at most and with so much between, while the answer is an error that passes by itself. Blocks.
pub(super) fn persist<T>(
    (most, between): (Duration, Duration),
    passes: impl Fn(Code) -> bool,
    ask: impl Fn() -> Result<T, KafkaError>,
) -> Result<T, KafkaError> {
    let until = Instant::now() + most;
    loop {
        match ask() {
            Err(error) if error.rdkafka_error_code().is_some_and(&passes) && Instant::now() < until => std::thread::sleep(between),
            answer => return answer,
        }
    }
}

/// Runs what blocks where it may. A panic there goes on here.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and whoever waits with it.
            Err(_) => std::future::pending().await,
        },
    }
}
