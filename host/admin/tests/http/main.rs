//! The server and the client over real sockets.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod client;
mod server;
mod support;
