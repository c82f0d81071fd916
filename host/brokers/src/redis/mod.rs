//! Redis: streams and lists.
//!
//! What the kinds of broker on a Redis share is here: [`config`], where the server is ([`place`]), the connections to it ([`server`]), errors in
//! our words ([`errors`]), names of keys ([`names`]) and how they are found ([`scan`]), the fields that a message is ([`entry`]), and who is
//! woken when something has a time to come ([`alarms`]). What a kind does with them is in its folder.

mod alarms;
mod config;
mod entry;
mod errors;
#[cfg(feature = "redis-list")]
pub mod lists;
mod names;
mod place;
#[cfg(feature = "redis-streams")]
mod position;
mod scan;
mod server;
#[cfg(feature = "redis-streams")]
pub mod streams;

pub use config::{Config, Tls};
