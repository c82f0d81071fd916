//! What Longshore's crates share: the form of messages and answers, and the traits between broker, engine and handler.
//!
//! Only data and traits. There is no I/O here, no async runtime, no wasmtime and no policy: what to *do* with a failure is decided in
//! `longshore-engine`, how a broker keeps it in `longshore-brokers`.

mod adapter;
mod batch;
mod broker;
mod call;
mod capabilities;
mod check;
mod clock;
mod error;
mod grants;
pub mod headers;
mod inbox;
mod key_pattern;
mod lane;
mod locks;
mod outbox;
mod outcome;
mod outputs;
mod own_keys;
mod pattern;
mod policy;
mod ranges;
mod receipt;
pub mod row;
mod settled;
mod size;
mod span;
mod store;
mod store_adapter;

pub use adapter::{Adapter, Connect, Holder, Registration, Roles, Table};
pub use batch::{Batch, Facts};
pub use broker::{
    Connection, Consumer, DeadLetters, Fetch, GroupInfo, Groups, Lanes, Page, Publisher, SeekTo, Start, Subscribe, TopicInfo,
    TopicSettings, Topics,
};
pub use call::{Call, Handler, SubscriptionInfo};
pub use capabilities::{Capabilities, Flag, Tier};
pub use check::{Finding, Intent};
pub use clock::Clock;
pub use error::{BrokerError, Fix, PublishError, SettleError, StoreError};
pub use grants::{Grant, GrantedBucket, GrantedBuckets, GrantedLocks, GrantedStores, Outlet, Outlets};
pub use inbox::{Claimant, Claimed, DedupKey, DedupTimes, Inbox, InboxClaim, InboxEntry, InboxKey};
pub use key_pattern::KeyPattern;
pub use lane::{Acks, Lane, Room, Source, Waiting};
pub use locks::{Held, HeldPage, Lease, Locks, Owner, Wish};
pub use outbox::Outbox;
pub use outcome::{Crash, Done, Failure};
pub use outputs::{Destination, Malformed, NewOutput, Output, Outputs};
pub use own_keys::{NoKeys, OwnKeys, Refused};
pub use pattern::Pattern;
pub use policy::{Backoff, Batching, Breaker, DeadLetterPolicy, Delivery, Limits, Order, RetryPolicy};
pub use ranges::Ranges;
pub use receipt::{Receipt, Receipts};
pub use row::Message;
pub use settled::{Again, Settled};
pub use size::{BadSize, Size};
pub use span::{BadSpan, Span};
pub use store::{Bucket, Buckets, KeyPage, Left, MAX_COUNT, StoreAnswer, StoreRoles};
pub use store_adapter::{StoreAdapter, StoreRegistration};

/// A future that a trait object answers with.
pub type BoxFuture<'a, T> = futures::future::BoxFuture<'a, T>;
