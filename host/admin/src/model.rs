//! What is asked and answered, as plain data: the JSON of the HTTP API and of `--output json`.
//!
//! Times are milliseconds since the Unix epoch, sizes bytes. What is not known is `null`, never a guess.

mod broker;
mod dead_letter;
mod group;
mod handler;
mod line;
mod message;
mod status;
mod store;
mod topic;

pub use broker::{BrokerCapabilities, BrokerStatus, Health, Ping, Provided};
pub use dead_letter::{DeadFacts, DeadLetter, DeadLetterFilter, Redrive, Redriven};
pub use group::{Group, SeekGroup, Sought};
pub use handler::{HandlerStatus, Paused, SubscriptionState, SubscriptionStatus};
pub use line::{Data, HeaderList, Line};
pub use message::{Begin, Browse, Publish, Published, Received, Request, Take, ToPublish};
pub use status::{Host, Status};
pub use store::{BucketKind, InBucket, KeyList, Lock, LockList, SetValue, StoreStatus, Value};
pub use topic::{NewTopic, Topic};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most messages in one answer.
pub const MAX_PAGE: usize = 1000;
/// Most messages in one request to publish.
pub const MAX_PUBLISH: usize = 1000;
/// Longest wait for messages in one call, milliseconds.
pub const MAX_WAIT: u64 = 20_000;

/// How many there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Count {
    /// How many.
    pub count: u64,
}

/// Whether it is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// `false`: it was there, and is kept as said from now on.
    pub created: bool,
}
