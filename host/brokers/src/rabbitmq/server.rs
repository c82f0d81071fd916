//! What all roles of one RabbitMQ broker share: its two connections, how topics are kept, and the queues that are consumed here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use longshore_core::{BoxFuture, BrokerError, Clock, Connection, Finding, Pattern};
use tokio::sync::watch;

use super::config::Topic;
use super::link::{Address, Link, MAKE_A_USER, Open};
use super::topology::Queue;
use crate::declare::Declare;

/// One broker.
pub(super) struct Server {
    pub(super) address: Arc<Address>,
    pub(super) declare: Declare,
    pub(super) confirm_timeout: Duration,
    pub(super) clock: Clock,
    /// Consuming and publishing are apart: an alarm stops whoever publishes, and consuming is what ends the alarm.
    pub(super) consuming: Link,
    pub(super) publishing: Link,
    topics: Mutex<BTreeMap<String, Topic>>,
    /// Queues that were made or found here, besides.
    seen: Mutex<BTreeSet<String>>,
    /// Groups that were seen here, by topic and name, with their queues.
    groups: Mutex<BTreeMap<(String, String), Queue>>,
    homes: Mutex<Vec<Weak<Home>>>,
    ids: Mutex<Ids>,
}

/// A queue that is consumed here.
pub(super) struct Home {
    /// Topic or pattern of the subscription.
    pub(super) topic: String,
    pub(super) group: Option<String>,
    pub(super) queue: Queue,
    pub(super) open: Arc<Open>,
    /// How often it was emptied.
    pub(super) purged: watch::Sender<u64>,
}

/// Ids for messages that come without: unique, as this process began with random bytes and counts.
struct Ids {
    prefix: u64,
    next: u64,
}

impl Server {
    pub(super) fn new(
        address: Address,
        declare: Declare,
        confirm_timeout: Duration,
        clock: Clock,
        topics: BTreeMap<String, Topic>,
    ) -> Self {
        let address = Arc::new(address);
        Server {
            consuming: Link::new(Arc::clone(&address), "consumer"),
            publishing: Link::new(Arc::clone(&address), "publisher"),
            address,
            declare,
            confirm_timeout,
            clock,
            topics: Mutex::new(topics),
            seen: Mutex::default(),
            groups: Mutex::default(),
            homes: Mutex::default(),
            ids: Mutex::new(Ids { prefix: random(), next: 0 }),
        }
    }

    /// How a topic is kept: by its own table, else by one whose name is a pattern of it.
    pub(super) fn topic(&self, name: &str) -> Topic {
        let topics = lock(&self.topics);
        let matches = |pattern: &str| Pattern::new(pattern).is_ok_and(|pattern| pattern.is_wild() && pattern.matches(name));
        let found = topics.get(name).or_else(|| topics.iter().find(|(pattern, _)| matches(pattern)).map(|(_, topic)| topic));
        found.cloned().unwrap_or_default()
    }

    pub(super) fn keep_topic(&self, name: &str, topic: Topic) {
        lock(&self.topics).insert(name.to_owned(), topic);
    }

    /// All topics that are known here.
    pub(super) fn topics(&self) -> Vec<String> {
        let mut all = lock(&self.seen).clone();
        all.extend(lock(&self.topics).keys().filter(|name| !name.contains('*')).cloned());
        all.into_iter().collect()
    }

    /// That topic is a queue.
    pub(super) fn saw(&self, topic: &str) {
        let mut seen = lock(&self.seen);
        if !seen.contains(topic) {
            seen.insert(topic.to_owned());
        }
    }

    pub(super) fn groups(&self) -> Vec<(String, String, Queue)> {
        lock(&self.groups).iter().map(|((topic, group), queue)| (topic.clone(), group.clone(), queue.clone())).collect()
    }

    /// Queues that are consumed here for `topic`.
    pub(super) fn homes(&self, topic: &str) -> Vec<Arc<Home>> {
        lock(&self.homes).iter().filter_map(Weak::upgrade).filter(|home| home.topic == topic).collect()
    }

    pub(super) fn add_home(&self, home: &Arc<Home>) {
        if let Some(group) = &home.group {
            lock(&self.groups).insert((home.topic.clone(), group.clone()), home.queue.clone());
        }
        let mut homes = lock(&self.homes);
        homes.retain(|home| home.strong_count() > 0);
        homes.push(Arc::downgrade(home));
    }

    pub(super) fn next_id(&self) -> String {
        let mut ids = lock(&self.ids);
        ids.next += 1;
        format!("{:016x}-{}", ids.prefix, ids.next)
    }

    /// Why nothing can be published now, if that is so.
    pub(super) fn refuse_if_blocked(&self, open: &Open) -> Result<(), BrokerError> {
        if !open.is_blocked() {
            return Ok(());
        }
        let server = self.address.server();
        Err(BrokerError::retry(format!(
            "RabbitMQ at {server} takes no messages because of an alarm: see `rabbitmqctl status` for memory and disk"
        )))
    }
}

impl Connection for Server {
    fn ping(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move {
            let (publishing, consuming) = (self.publishing.get().await?, self.consuming.get().await?);
            self.refuse_if_blocked(&publishing)?;
            let both = async {
                publishing.ping().await?;
                consuming.ping().await
            };
            let late = |_| BrokerError::retry(format!("RabbitMQ at {} does not answer", self.address.server()));
            tokio::time::timeout(self.confirm_timeout, both).await.map_err(late)?
        })
    }

    fn check_server(&self) -> BoxFuture<'_, Result<Vec<Finding>, BrokerError>> {
        let guest = self.address.is_guest_from_afar().then(|| {
            let problem = "the user is \"guest\", whose password everybody knows, and the server is on another machine";
            Finding::advice("", problem, MAKE_A_USER)
        });
        Box::pin(std::future::ready(Ok(guest.into_iter().collect())))
    }

    fn connections(&self) -> Option<u64> {
        Some(self.address.connections() as u64)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move {
            // Everything that was published was confirmed before its publisher was answered.
            let both = async {
                self.consuming.close().await;
                self.publishing.close().await;
            };
            let _ = tokio::time::timeout(self.confirm_timeout, both).await;
            Ok(())
        })
    }
}

/// A number that nobody else has.
pub(super) fn random() -> u64 {
    // Without randomness of the system, the time and where this stands in memory are left.
    getrandom::u64().unwrap_or_else(|_| {
        let now = longshore_core::Clock::system().now();
        now.rotate_left(32) ^ u64::from(std::process::id())
    }) >> 1
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
