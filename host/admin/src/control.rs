//! The seam between whoever asks (a command, a dashboard, a script) and a host: the same traits are implemented over opened brokers, in the
//! host, and over HTTP, by [`Client`](crate::Client). Every answer is plain data of [`model`](crate::model).
//!
//! Each call is bounded: lists come in pages, waits have a limit, and long work (a slow redrive, a follow) is a loop of the caller's.

use longshore_core::BoxFuture;

use crate::error::ControlError;
use crate::model::{
    BrokerCapabilities, BrokerStatus, Browse, Count, Created, DeadLetter, DeadLetterFilter, Group, HandlerStatus, InBucket, KeyList, Line,
    Lock, LockList, NewTopic, Paused, Ping, Publish, Published, Received, Redrive, Redriven, Request, SeekGroup, SetValue, Sought, Status,
    Take, Topic, Value,
};

/// What every call answers.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, ControlError>>;

/// The host and its brokers.
pub trait BrokerControl: Send + Sync {
    /// The host as a whole. A part that fails shows its error and does not spoil the rest.
    fn status(&self) -> Answer<'_, Status>;
    /// Every configured broker, pinged.
    fn brokers(&self) -> Answer<'_, Vec<BrokerStatus>>;
    /// Whether a broker answers, and how fast. A broker that does not is an answer, not an error.
    fn ping<'a>(&'a self, broker: &'a str) -> Answer<'a, Ping>;
    /// What a broker can do.
    fn capabilities<'a>(&'a self, broker: &'a str) -> Answer<'a, BrokerCapabilities>;
}

/// Handlers and their subscriptions. A host that runs none answers with empty lists.
pub trait HandlerControl: Send + Sync {
    /// All of them.
    fn handlers(&self) -> Answer<'_, Vec<HandlerStatus>>;
    /// Stops fetching for a handler, or for one subscription by its name (`handler/topic`); what is in flight ends.
    fn pause<'a>(&'a self, name: &'a str) -> Answer<'a, Paused>;
    /// Goes on with it.
    fn resume<'a>(&'a self, name: &'a str) -> Answer<'a, Paused>;
}

/// Messages in and out.
pub trait MessageControl: Send + Sync {
    /// Publishes all and answers for each, in their order.
    fn publish(&self, publish: Publish) -> Answer<'_, Vec<Published>>;
    /// Reads a topic without moving any group.
    fn browse(&self, browse: Browse) -> Answer<'_, Vec<Received>>;
    /// Reads as a member of a group; what is answered is acknowledged.
    fn take(&self, take: Take) -> Answer<'_, Vec<Received>>;
    /// Publishes one message and waits for the answer to it.
    fn request(&self, request: Request) -> Answer<'_, Line>;
}

/// Topics.
pub trait TopicControl: Send + Sync {
    /// All topics of a broker, `None` for the default one.
    fn topics<'a>(&'a self, broker: Option<&'a str>) -> Answer<'a, Vec<Topic>>;
    /// One topic.
    fn topic<'a>(&'a self, broker: Option<&'a str>, topic: &'a str) -> Answer<'a, Topic>;
    /// Makes a topic, or changes how it is kept.
    fn create_topic(&self, topic: NewTopic) -> Answer<'_, Created>;
    /// Removes a topic with its messages and positions.
    fn delete_topic<'a>(&'a self, broker: Option<&'a str>, topic: &'a str) -> Answer<'a, ()>;
    /// Removes a topic's messages; says how many.
    fn purge_topic<'a>(&'a self, broker: Option<&'a str>, topic: &'a str) -> Answer<'a, Count>;
}

/// Groups.
pub trait GroupControl: Send + Sync {
    /// All groups of a broker, `None` for the default one.
    fn groups<'a>(&'a self, broker: Option<&'a str>) -> Answer<'a, Vec<Group>>;
    /// A group on every topic that it reads.
    fn group<'a>(&'a self, broker: Option<&'a str>, group: &'a str) -> Answer<'a, Vec<Group>>;
    /// Moves a group that nobody uses now.
    fn seek(&self, seek: SeekGroup) -> Answer<'_, Sought>;
}

/// Dead letters.
pub trait DeadLetterControl: Send + Sync {
    /// Those that pass the filter, newest first.
    fn dead_letters(&self, filter: DeadLetterFilter) -> Answer<'_, Vec<DeadLetter>>;
    /// How many pass it; its limit aside.
    fn count_dead_letters(&self, filter: DeadLetterFilter) -> Answer<'_, Count>;
    /// One, by its id (`topic/position`), or by the id of the message that it was.
    fn dead_letter<'a>(&'a self, broker: Option<&'a str>, id: &'a str) -> Answer<'a, DeadLetter>;
    /// Gives those that pass the filter back, oldest first, to the group that failed, or a copy of each to another topic.
    fn redrive(&self, redrive: Redrive) -> Answer<'_, Redriven>;
    /// Removes those that pass the filter.
    fn discard(&self, filter: DeadLetterFilter) -> Answer<'_, Count>;
}

/// Values in stores.
pub trait StoreControl: Send + Sync {
    /// One value. One that is not there is not found.
    fn value<'a>(&'a self, bucket: &'a InBucket, key: &'a str) -> Answer<'a, Value>;
    /// Sets or replaces one.
    fn set_value<'a>(&'a self, bucket: &'a InBucket, key: &'a str, value: SetValue) -> Answer<'a, ()>;
    /// Removes one. One that is not there is not found.
    fn delete_value<'a>(&'a self, bucket: &'a InBucket, key: &'a str) -> Answer<'a, ()>;
    /// Removes those whose keys match; says how many.
    fn delete_matching<'a>(&'a self, bucket: &'a InBucket, pattern: &'a str) -> Answer<'a, Count>;
    /// A page of the keys that match; the first one without a cursor.
    fn keys<'a>(&'a self, bucket: &'a InBucket, pattern: &'a str, cursor: Option<&'a str>) -> Answer<'a, KeyList>;
}

/// Locks in stores; the store `default` without a name.
pub trait LockControl: Send + Sync {
    /// A page of the locks that are held and match; the first one without a cursor.
    fn locks<'a>(&'a self, store: Option<&'a str>, pattern: &'a str, cursor: Option<&'a str>) -> Answer<'a, LockList>;
    /// Who holds one. One that nobody holds is not found.
    fn lock<'a>(&'a self, store: Option<&'a str>, name: &'a str) -> Answer<'a, Lock>;
    /// Ends the lease of whoever holds it, or the one of that fence; says whose it was. One that nobody holds is not found.
    fn release_lock<'a>(&'a self, store: Option<&'a str>, name: &'a str, fence: Option<u64>) -> Answer<'a, Lock>;
}

/// All that a host can be asked.
pub trait Control:
    BrokerControl + HandlerControl + MessageControl + TopicControl + GroupControl + DeadLetterControl + StoreControl + LockControl
{
}

impl<T: BrokerControl + HandlerControl + MessageControl + TopicControl + GroupControl + DeadLetterControl + StoreControl + LockControl>
    Control for T
{
}
