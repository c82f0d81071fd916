//! How a running host is asked: the seam [`Control`] with its data, an HTTP server on a thread of its own, and a [`Client`] that is the same seam
//! from outside.
//!
//! What a host *does* when it is asked is not here: the server sees readiness, a text of metrics and a `dyn Control`, and neither engine
//! nor brokers.

mod client;
pub mod control;
mod error;
mod extract;
mod guard;
mod health;
mod host;
mod listen;
pub mod model;
mod openapi;
mod page;
mod readiness;
mod route;
mod routes;
mod server;

pub use client::Client;
pub use control::Control;
pub use error::{ControlError, Kind};
pub use listen::{ListenError, Listener};
pub use readiness::{Need, Readiness};
pub use server::{Metrics, Serve, Server};
