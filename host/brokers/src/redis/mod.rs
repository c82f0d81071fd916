//! Redis: streams, lists and pub/sub.
//!
//! What the kinds of broker on a Redis share is here: [`config`], where the server is ([`place`]) or the nodes of a cluster are ([`cluster`],
//! [`slots`]), the connections to it ([`server`], [`pool`]), errors in
//! our words ([`errors`]), names of keys ([`names`]) and how they are found ([`scan`]), the fields that a message is ([`entry`]), who is woken
//! when something has a time to come ([`alarms`]), and what is looked at before messages depend on it ([`check`]). [`store`] keeps values there. Publishing, settling and dead
//! letters share the part that is not a stream's or a list's ([`publishing`], [`settling`], [`dead`]). What a kind does with them is in its folder.

#![cfg_attr(not(any(feature = "redis-list", feature = "redis-streams")), allow(dead_code, reason = "a channel keeps nothing"))]

#[cfg(any(feature = "redis-list", feature = "redis-streams"))]
mod alarms;
mod check;
mod cluster;
mod config;
#[cfg(any(feature = "redis-list", feature = "redis-streams"))]
mod dead;
mod entry;
#[cfg(any(feature = "redis-list", feature = "redis-pubsub"))]
mod envelope;
mod errors;
mod glob;
#[cfg(feature = "redis-list")]
pub mod lists;
mod names;
mod place;
mod pool;
#[cfg(feature = "redis-streams")]
mod position;
mod publishing;
#[cfg(feature = "redis-pubsub")]
pub mod pubsub;
#[cfg(any(feature = "redis-list", feature = "redis-streams"))]
mod scan;
mod server;
#[cfg(any(feature = "redis-list", feature = "redis-streams"))]
mod settling;
#[cfg(any(feature = "redis-list", feature = "redis-streams"))]
mod sizes;
mod slots;
mod store;
#[cfg(feature = "redis-streams")]
pub mod streams;

pub use config::Config;
pub use store::{RedisStore, StoreConfig};
