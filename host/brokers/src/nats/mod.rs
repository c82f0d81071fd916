//! NATS, as JetStream: streams that keep messages. What of it is not JetStream's alone stands here.
//!
//! All speak through one client ([`link`]) and write messages in one way ([`headers`]). The client reconnects by itself, which hides nothing:
//! a lane is a pull consumer of the server's, named in every acknowledgement, and belongs to no connection. Not here: core NATS, which
//! keeps nothing.

mod config;
mod headers;
pub mod jetstream;
mod link;
mod names;

pub use crate::declare::Declare;
pub use config::{Config, Urls};
