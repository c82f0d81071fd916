//! One file for each element of the configuration: its keys, their defaults, their meaning, and what it becomes once it is checked.
//!
//! The doc comments here are the reference page and the descriptions of the JSON schema. Nothing here knows the file as a whole.

mod admin;
mod batch;
mod breaker;
mod broker;
mod dead_letter;
mod dedup;
mod defaults;
mod file;
mod handler;
mod job;
mod limits;
mod policy;
mod publish;
mod retry;
mod reuse;
mod store;
mod subscription;
mod texts;
mod topic;

pub(crate) use admin::Admin;
pub(crate) use broker::Broker;
pub(crate) use dedup::Dedup;
pub(crate) use file::File;
pub(crate) use handler::{Build, Handler};
pub(crate) use job::Job;
pub use job::Restart;
pub(crate) use policy::{Policy, keys};
pub(crate) use publish::PublishEntry;
pub(crate) use reuse::Instance;
pub(crate) use store::{BucketEntry, LockEntry, Store};
pub(crate) use subscription::{Mode, Subscription};
pub(crate) use topic::Topic;
