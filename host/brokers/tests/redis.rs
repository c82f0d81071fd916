//! Redis: the conformance suite and what only Redis has, on a real server.

#![cfg(all(feature = "redis-list", feature = "redis-pubsub", feature = "redis-streams"))]

#[path = "redis/certain.rs"]
mod certain;
#[path = "redis/cluster.rs"]
mod cluster;
#[path = "redis/conformance.rs"]
mod conformance;
#[path = "redis/faults.rs"]
mod faults;
#[path = "redis/lists.rs"]
mod lists;
#[path = "redis/losses.rs"]
mod losses;
#[path = "redis/pubsub.rs"]
mod pubsub;
#[path = "redis/sentinel.rs"]
mod sentinel;
#[path = "redis/stores.rs"]
mod stores;
#[path = "redis/streams.rs"]
mod streams;
#[path = "redis/support.rs"]
mod support;
#[path = "redis/trimming.rs"]
mod trimming;
#[path = "redis/work.rs"]
mod work;
