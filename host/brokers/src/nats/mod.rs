//! NATS: core, where a message goes to who listens now, and JetStream, whose streams keep messages. What is not one kind's alone stands here.
//!
//! Both speak through one client ([`link`]), write messages in one way ([`headers`]) and answer requests in one way ([`replies`]); what the user
//! may do is heard in passing ([`heard`]) or asked for ([`rights`]). The client reconnects by itself, which hides nothing: a lane of JetStream is
//! a pull consumer of the server's, named in every acknowledgement, and belongs to no connection; a lane of core NATS is told of every loss.
//! [`store`] keeps values in key-value buckets of JetStream.

mod config;
#[cfg(feature = "nats")]
pub mod core;
mod headers;
#[cfg_attr(not(feature = "nats"), allow(dead_code, reason = "JetStream answers whoever it refuses"))]
mod heard;
#[cfg(feature = "nats-jetstream")]
pub mod jetstream;
mod link;
#[cfg_attr(not(feature = "nats-jetstream"), allow(dead_code, reason = "core NATS has neither streams nor consumers"))]
mod names;
mod replies;
#[cfg_attr(not(feature = "nats-jetstream"), allow(dead_code, reason = "JetStream is asked for them"))]
mod rights;
#[cfg(feature = "nats-jetstream")]
mod store;

pub use crate::declare::Declare;
pub use config::{Config, Urls};
#[cfg(feature = "nats-jetstream")]
pub use store::{NatsStore, StoreConfig};
