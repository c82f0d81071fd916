//! What the brokers inside this process share: everything but where rows are kept.
//!
//! [`Broker`] is the broker itself as plain synchronous code: topics, groups, retries, delays, retention. It keeps its rows in [`Tables`],
//! of which the memory and the embedded adapter each have their own. [`Local`] is the asynchronous side, the same for both: roles, lanes,
//! wake-ups, timers. A [`Backend`] stands between the two and says how the one runs the other: in place, or on a writer thread that
//! commits. So both adapters behave alike by construction. Not here: files, threads, SQL.

mod acks;
mod admit;
mod backend;
mod broker;
mod catalog;
mod consumer;
mod dead;
mod dedup;
mod front;
mod groups;
mod housekeeping;
mod inboxes;
mod lanes;
mod members;
mod publish;
mod publisher;
mod read;
mod retention;
mod roles;
mod settle;
mod source;
mod tables;

use longshore_core::{Capabilities, Flag};

pub(crate) use admit::{Limits, check_name};
pub(crate) use backend::Backend;
pub(crate) use broker::{Broker, Signals};
pub(crate) use front::Local;
pub(crate) use read::{Filler, Got, Read};
pub(crate) use tables::{Delays, Inboxes, LaneId, LaneRecord, Lanes, Logs, Removed, Retries, Retry, Tables, TopicId, TopicRecord, stamped};

/// What brokers in this process can do. Only what outlives the process sets them apart.
pub(crate) const CAPABILITIES: Capabilities = Capabilities::of(&FLAGS);

const FLAGS: [Flag; 15] = [
    Flag::Publish,
    Flag::Subscribe,
    Flag::ConsumerGroups,
    Flag::AckNack,
    Flag::DeliveryGuarantees,
    Flag::MessageOrdering,
    Flag::BlockingRead,
    Flag::DeadLetterQueue,
    Flag::Replay,
    Flag::Delay,
    Flag::Transactions,
    Flag::RequestReply,
    Flag::Patterns,
    Flag::Broadcast,
    Flag::DedupInbox,
];
