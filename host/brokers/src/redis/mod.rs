//! Redis: streams.
//!
//! What the kinds of broker on a Redis share is here: [`config`], where the server is ([`place`]), the connections to it ([`server`]), errors in our words ([`errors`]), names of keys
//! ([`names`]), and the fields that a message is ([`entry`]). What a kind does with them is in its folder.

mod config;
mod entry;
mod errors;
mod names;
mod place;
mod position;
mod server;
pub mod streams;

pub use config::{Config, Tls};
