//! The roles that a broker can play. Small traits; reconnecting, retrying and counting is the engine's.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;

use crate::BoxFuture;
use crate::batch::Batch;
use crate::check::{Finding, Intent};
use crate::error::{BrokerError, PublishError};
use crate::inbox::DedupTimes;
use crate::lane::Lane;
use crate::outbox::Outbox;
use crate::own_keys::OwnKeys;
use crate::pattern::Pattern;
use crate::policy::Order;

/// The connection behind the roles.
pub trait Connection: Send + Sync {
    /// Whether the broker answers now.
    fn ping(&self) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Flushes what was published and ends.
    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Connections that are open now; `None`: this broker has none, or does not count them.
    fn connections(&self) -> Option<u64> {
        None
    }

    /// What of the server is in the way of every use of it, or worth knowing. Changes nothing.
    fn check_server(&self) -> BoxFuture<'_, Result<Vec<Finding>, BrokerError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

/// Where a group begins that has no position yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Start {
    /// With the oldest message that is kept.
    #[default]
    Earliest,
    /// With what is published from now on.
    Latest,
    /// Not at all: a group without a position is an error.
    None,
    /// With the first message at or after that time, milliseconds since the Unix epoch.
    Time(u64),
    /// With that position, in the broker's own form.
    Position(String),
}

/// How much is fetched at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch {
    /// Messages; bounded by free capacity besides.
    pub max_messages: usize,
    /// How long a pull may wait at the broker.
    pub max_wait: Duration,
}

/// What a subscription asks of a broker.
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// Topics and patterns; at least one.
    pub topics: Vec<Pattern>,
    /// `None`: broadcast, every subscriber gets a copy.
    pub group: Option<String>,
    /// Where a new group begins.
    pub start: Start,
    /// What order the engine keeps.
    pub order: Order,
    /// How much at once.
    pub fetch: Fetch,
    /// Most messages that will be held, over all lanes.
    pub max_in_flight: usize,
    /// Waits before a failed message comes again, each from its shortest to its longest, for a broker that has to get ready for them. Others
    /// may be asked for all the same.
    pub delays: Vec<(Duration, Duration)>,
    /// What is asked of the inbox of a broker that has [`Flag::DedupInbox`](crate::Flag::DedupInbox); `None`: each delivery counts.
    pub dedup: Option<DedupTimes>,
    /// Keys that only this kind of broker knows: an [`Adapter::Subscription`](crate::Adapter::Subscription).
    pub own: OwnKeys,
}

/// Lanes as they are assigned. An error ends the stream unless its fix is `Retry`.
pub type Lanes = BoxStream<'static, Result<Lane, BrokerError>>;

/// The consuming side.
pub trait Consumer: Send + Sync {
    /// Joins the group, confirmed by the broker, and yields a lane for each assignment. Dropping the lanes and the stream leaves the group.
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Lanes, BrokerError>>;

    /// What is in the way of a subscription: something that is missing, does not fit, or is not allowed. Changes nothing.
    fn check<'a>(&'a self, intent: &'a Intent) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        let _ = intent;
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

/// The publishing side.
pub trait Publisher: Send + Sync {
    /// Makes what these messages need at the broker and what may take longer than a confirm, such as a topic that is not there yet. Who waits
    /// for a confirm no longer than some time calls it first, and does not count this. It answers in a bounded time of its own; what fails
    /// of it, `publish` tells.
    fn prepare<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, ()> {
        let _ = outbox;
        Box::pin(std::future::ready(()))
    }

    /// Publishes all, waits for every confirm, and answers for each: the id that its readers will see, or why not.
    fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Result<Vec<Result<String, PublishError>>, BrokerError>>;

    /// Publishes the one message of `outbox` and waits for the answer to it: a batch of one.
    fn request<'a>(&'a self, outbox: &'a Outbox, timeout: Duration) -> BoxFuture<'a, Result<Batch, PublishError>> {
        let _ = (outbox, timeout);
        Box::pin(std::future::ready(Err(PublishError::Unsupported("this broker has no request and reply".into()))))
    }

    /// Whether `topic` is where an answer to a request may go: an address that the broker itself made for one. A reply goes nowhere else,
    /// whatever a message's header says.
    fn is_reply_address(&self, topic: &str) -> bool {
        let _ = topic;
        false
    }

    /// What is in the way of publishing to a topic. Changes nothing, and nobody gets a message.
    fn check<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        let _ = topic;
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

/// One topic, for a person to read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Messages kept.
    pub messages: u64,
    /// Bytes kept, where the broker tells.
    pub bytes: Option<u64>,
    /// Messages that wait for their time.
    pub delayed: u64,
    /// Position of the oldest and of the newest message.
    pub positions: Option<(u64, u64)>,
    /// Groups that read it.
    pub groups: u64,
}

/// How a topic is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicSettings {
    /// Age after which messages go.
    pub retention: Option<Duration>,
    /// Bytes above which the oldest go.
    pub max_size: Option<u64>,
    /// Whether messages go once every group has finished them.
    pub until_finished: bool,
    /// Keys that only this kind of broker knows: an [`Adapter::Topic`](crate::Adapter::Topic).
    pub own: OwnKeys,
}

/// Administration of topics.
pub trait Topics: Send + Sync {
    /// All topics, by name; on a broker that does not tell, those that this process has met.
    fn list(&self) -> BoxFuture<'_, Result<Vec<TopicInfo>, BrokerError>>;
    /// The topic of that name, on a broker that does not list all. Not asked often: it may leave its mark in the server's log.
    fn look<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Option<TopicInfo>, BrokerError>> {
        let _ = topic;
        Box::pin(std::future::ready(Ok(None)))
    }
    /// Makes a topic, or changes how an existing one is kept. Says whether it is new.
    fn create<'a>(&'a self, topic: &'a str, settings: &'a TopicSettings) -> BoxFuture<'a, Result<bool, BrokerError>>;
    /// Removes a topic with its messages and positions. Says whether it was there.
    fn delete<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<bool, BrokerError>>;
    /// Removes a topic's messages; groups have nothing left. Says how many, or `None` where there is no such topic.
    fn purge<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Option<u64>, BrokerError>>;
    /// Messages of a topic after a position, without moving any group.
    fn browse<'a>(&'a self, topic: &'a str, page: Page) -> BoxFuture<'a, Result<Batch, BrokerError>>;
    /// Ends once there may be messages of the topic after the position; never where the broker cannot tell.
    fn wait_for<'a>(&'a self, topic: &'a str, after: u64) -> BoxFuture<'a, Result<(), BrokerError>>;
}

/// A part of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Upwards from, and without, that position.
    After(u64, usize),
    /// Downwards from, and without, that position; `u64::MAX` for the newest.
    Before(u64, usize),
}

/// One group on one topic, for a person to read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GroupInfo {
    /// Its name.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// Everything at or below it is finished or waits for a retry.
    pub position: u64,
    /// Messages that were never finished; `None` where unknown, never a guess.
    pub lag: Option<u64>,
    /// Messages that wait for a retry.
    pub retries: u64,
    /// Hosts that read with it now.
    pub members: u64,
    /// What the broker calls them, where it has names for them.
    pub consumers: Vec<String>,
    /// When it was made, milliseconds since the Unix epoch; `None` where the broker does not tell.
    pub created_at: Option<u64>,
}

/// Where to move a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeekTo {
    /// Before the oldest message.
    Beginning,
    /// Behind the newest.
    End,
    /// So that this position comes next.
    Position(u64),
    /// So that the first message at or after that time comes next; milliseconds since the Unix epoch.
    Time(u64),
}

/// Administration of groups.
pub trait Groups: Send + Sync {
    /// All groups, by topic and name; on a broker that does not tell, those that this process has met.
    fn list(&self) -> BoxFuture<'_, Result<Vec<GroupInfo>, BrokerError>>;
    /// The groups of a subscription, on a broker that does not list all. Not asked often: it may leave its mark in the server's log.
    fn look<'a>(&'a self, subscribe: &'a Subscribe) -> BoxFuture<'a, Result<Vec<GroupInfo>, BrokerError>> {
        let _ = subscribe;
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
    /// Moves a group that nobody uses now; its retries go. Says where it stands then, or `None` where there is no such group.
    fn seek<'a>(&'a self, group: &'a str, topic: &'a str, to: SeekTo) -> BoxFuture<'a, Result<Option<u64>, BrokerError>>;
}

/// What is done with dead letters. A dead letter is a message with `longshore-dead-*` headers on a topic like any other.
pub trait DeadLetters: Send + Sync {
    /// Gives the dead letters at `positions` of `topic` back to the group that failed, in place of nothing else and to no other group:
    /// attempt 1, dead-letter headers gone, redrives one more. One that cannot be given back (damaged, or without the headers that say to
    /// whom) stays where it is and keeps no other back. Says how many went. Killed half-way and run again, each goes once.
    fn redrive<'a>(&'a self, topic: &'a str, positions: &'a [u64]) -> BoxFuture<'a, Result<u64, BrokerError>>;
    /// Removes them. Says how many were there.
    fn remove<'a>(&'a self, topic: &'a str, positions: &'a [u64]) -> BoxFuture<'a, Result<u64, BrokerError>>;
}

/// A shared role.
pub(crate) type Role<T> = Option<Arc<T>>;
