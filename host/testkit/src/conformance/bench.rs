//! What every test needs: a connected broker, topics of its own, and shortcuts that fail with a deadline instead of hanging.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use longshore_core::{
    BrokerError, Fetch, Flag, Lanes, Message, Order, Outbox, OwnKeys, Pattern, PublishError, Publisher, Roles, Start, Subscribe,
    TopicSettings, Topics,
};

use super::{Hand, Subject};

/// How long anything that must come may take.
pub(super) const SOON: Duration = Duration::from_secs(10);

static TESTS: AtomicU64 = AtomicU64::new(0);

/// A connected broker and names that no other test has.
pub struct Bench<'a> {
    /// Whom it came from.
    pub subject: &'a dyn Subject,
    /// Its roles.
    pub roles: Roles,
    prefix: String,
}

impl<'a> Bench<'a> {
    /// Connects for one test.
    pub async fn new(subject: &'a dyn Subject) -> Self {
        let count = TESTS.fetch_add(1, Ordering::Relaxed);
        Bench { subject, roles: subject.connect().await, prefix: format!("conformance-{}-{count}", std::process::id()) }
    }

    /// The same behind a crash of host and broker.
    pub async fn crash(self) -> Self {
        // Not for something to happen: what is younger may rightly be undone.
        tokio::time::sleep(self.subject.commit_interval()).await;
        let roles = self.subject.restart(self.roles).await.expect("a durable broker outlives a crash");
        Bench { roles, ..self }
    }

    /// A topic of this test's.
    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// A topic of this test's that several groups, patterns or broadcasts read.
    pub async fn shared_topic(&self, name: &str) -> String {
        let (topic, shared) = (self.topic(name), self.subject.shared());
        if shared.topic != TopicSettings::default() {
            self.topics().create(&topic, &shared.topic).await.expect("made");
        }
        topic
    }

    /// The publisher.
    pub fn publisher(&self) -> &dyn Publisher {
        self.roles.publisher.as_deref().expect("a broker that is tested publishes")
    }

    /// The topics.
    pub fn topics(&self) -> &dyn Topics {
        self.roles.topics.as_deref().expect("a broker with this flag has topics")
    }

    /// Publishes payloads and answers their ids.
    pub async fn publish(&self, topic: &str, payloads: &[&str]) -> Vec<String> {
        let mut outbox = Outbox::default();
        payloads.iter().for_each(|payload| push(&mut outbox, topic, None, payload, 0));
        self.publish_all(&outbox).await.into_iter().map(|answer| answer.expect("a good message is taken")).collect()
    }

    /// Publishes a payload before anybody is there for it, which a broker may refuse that keeps nothing for those who come later. Says
    /// whether it waits for them.
    pub async fn publish_early(&self, topic: &str, payload: &str) -> bool {
        let mut outbox = Outbox::default();
        push(&mut outbox, topic, None, payload, 0);
        self.publish_all(&outbox).await.remove(0).is_ok() && !self.subject.forgets()
    }

    /// Publishes an outbox and answers for each message.
    pub async fn publish_all(&self, outbox: &Outbox) -> Vec<Result<String, PublishError>> {
        self.publisher().publish(outbox).await.expect("the broker is there")
    }

    /// Subscribes a group to topics, from the earliest message.
    pub async fn subscribe(&self, topics: &[&str], group: Option<&str>) -> Lanes {
        self.try_subscribe(&wish(topics, group)).await.expect("the broker takes the subscription")
    }

    /// Subscribes to topics that are shared.
    pub async fn subscribe_shared(&self, topics: &[&str], group: Option<&str>) -> Lanes {
        let subscribe = Subscribe { own: self.subject.shared().subscription, ..wish(topics, group) };
        self.try_subscribe(&subscribe).await.expect("the broker takes the subscription")
    }

    /// Subscribes, without order where the broker has none.
    pub async fn try_subscribe(&self, subscribe: &Subscribe) -> Result<Lanes, BrokerError> {
        let mut subscribe = subscribe.clone();
        // Members of a group that nothing is kept for are given messages in no order.
        let shared = self.subject.forgets() && subscribe.group.is_some();
        if shared || !self.subject.capabilities().has(Flag::MessageOrdering) {
            subscribe.order = Order::None;
        }
        if subscribe.own == OwnKeys::default() {
            subscribe.own = self.subject.own_keys();
        }
        self.roles.consumer.as_deref().expect("a broker that is tested consumes").subscribe(subscribe).await
    }

    /// `name` where the broker has groups. Else none: every subscription reads for itself, which tests with one reader do not notice.
    pub fn group<'n>(&self, name: &'n str) -> Option<&'n str> {
        self.subject.capabilities().has(Flag::ConsumerGroups).then_some(name)
    }

    /// Subscribes a group, if there are groups, to one topic and takes its lane.
    pub async fn hand(&self, topic: &str, group: &str) -> Hand {
        let mut lanes = self.subscribe(&[topic], self.group(group)).await;
        let lane = next(&mut lanes).await;
        Hand::new(lane, Some(lanes))
    }

    /// A hand on a topic to which `outbox` was published before it came, or at once after it where nothing is kept for who comes later; and
    /// what publishing answered.
    pub async fn hand_after(&self, topic: &str, outbox: &Outbox) -> (Hand, Vec<Result<String, PublishError>>) {
        if self.subject.forgets() {
            let hand = self.hand(topic, "g").await;
            return (hand, self.publish_all(outbox).await);
        }
        let answers = self.publish_all(outbox).await;
        (self.hand(topic, "g").await, answers)
    }

    /// The same for payloads that the broker takes, with their ids.
    pub async fn hand_with(&self, topic: &str, payloads: &[&str]) -> (Hand, Vec<String>) {
        let mut outbox = Outbox::default();
        payloads.iter().for_each(|payload| push(&mut outbox, topic, None, payload, 0));
        let (hand, answers) = self.hand_after(topic, &outbox).await;
        (hand, answers.into_iter().map(|answer| answer.expect("a good message is taken")).collect())
    }

    /// The same for a topic that is shared.
    pub async fn shared_hand(&self, topic: &str, group: &str) -> Hand {
        let mut lanes = self.subscribe_shared(&[topic], self.group(group)).await;
        let lane = next(&mut lanes).await;
        Hand::new(lane, Some(lanes))
    }
}

/// The next lane, which must come.
pub(super) async fn next(lanes: &mut Lanes) -> longshore_core::Lane {
    let lane = tokio::time::timeout(SOON, lanes.next()).await.expect("a lane comes soon");
    lane.expect("the stream goes on").expect("a lane, not an error")
}

/// A usual subscription.
pub(super) fn wish(topics: &[&str], group: Option<&str>) -> Subscribe {
    Subscribe {
        topics: topics.iter().map(|topic| Pattern::new(topic).expect("a good pattern")).collect(),
        group: group.map(Into::into),
        start: Start::Earliest,
        order: Order::Key,
        fetch: Fetch { max_messages: 500, max_wait: Duration::from_secs(1) },
        max_in_flight: 1000,
        delays: Vec::new(),
        dedup: None,
        own: OwnKeys::default(),
    }
}

/// Adds a message.
pub(super) fn push(outbox: &mut Outbox, topic: &str, key: Option<&str>, payload: &str, delay: u64) {
    push_with(outbox, topic, key, payload, &[], delay);
}

/// Adds a message with headers.
pub(super) fn push_with(outbox: &mut Outbox, topic: &str, key: Option<&str>, payload: &str, headers: &[(&str, &[u8])], delay: u64) {
    let message = Message {
        id: "",
        topic,
        key: key.map(str::as_bytes),
        payload: Some(payload.as_bytes()),
        headers: headers.iter().copied(),
        timestamp: 0,
        attempt: 1,
    };
    outbox.push(&message, delay, 0);
}

/// Milliseconds since the Unix epoch.
pub(super) fn now() -> u64 {
    longshore_core::Clock::system().now()
}
