//! NATS: JetStream, which keeps messages, and core NATS, which does not.
//!
//! Both speak through one client ([`link`]) and write messages in one way ([`headers`]). The client reconnects by itself, which hides nothing:
//! a lane is a pull consumer of the server's, named in every acknowledgement, and belongs to no connection.

mod config;
mod headers;
pub mod jetstream;
mod link;
mod names;

pub use config::{Config, Declare, Tls, Urls};
