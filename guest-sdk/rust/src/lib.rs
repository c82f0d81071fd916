//! Message handlers for Longshore.
//!
//! A handler is a function of one message. It says `Ok` when the message is done, and everything it published leaves together with that;
//! any error is a retry, and a [`Failure`] says what else there is.
//!
//! ```
//! use longshore_sdk::{Failure, Message, OrFail, Outgoing, publish};
//!
//! #[longshore_sdk::handler]
//! fn handle(message: &Message) -> Result<(), Failure> {
//!     let name = message.text().or_reject("a name is text")?;
//!     publish(Outgoing::to("greetings").key_of(message).payload(format!("hello {name}")));
//!     Ok(())
//! }
//! # fn main() {
//! # let done = longshore_sdk::testing::run(handle, longshore_sdk::testing::Message::new("names").payload("Ada"));
//! # assert_eq!(done.outputs[0].text(), "hello Ada");
//! # }
//! ```
//!
//! Underneath, the host calls with many messages at once (the world `batched`), which costs each of them a fraction; this crate takes the
//! batch apart, keeps the order that the subscription has, and puts the answer together. Built for `wasm32-wasip2` as a `cdylib`, the crate
//! of the handler *is* the component. Built for anything else it runs against [`testing`], so that its tests need neither Wasm nor a broker.

#![cfg_attr(
    not(target_family = "wasm"),
    expect(clippy::needless_question_mark, reason = "the imports of a component have an error type of their own, which `?` makes ours")
)]

mod batch;
#[cfg(target_family = "wasm")]
mod bindings;
pub mod cache;
mod call;
pub mod config;
pub mod consumer;
pub mod delivery;
mod error;
mod export;
mod failure;
mod host;
#[cfg(feature = "json")]
mod json;
pub mod key_value;
pub mod lock;
pub mod log;
mod message;
mod outcome;
mod outgoing;
mod packed;
mod publisher;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod time;

pub use call::{publish, reply};
pub use error::Error;
pub use failure::{Failure, OrFail};
pub use longshore_sdk_macros::{handler, job};
pub use message::{Headers, Message};
pub use outcome::{IntoEnd, IntoOutcome, IntoOutputs};
pub use outgoing::Outgoing;
pub use publisher::{request, send, send_all};

/// For the expansion of the attributes only.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_family = "wasm")]
    pub use crate::bindings::{
        batched::{self, export_batched_world},
        job::{self, export_job_world},
    };
    pub use crate::{
        __export_handler as export_handler, __export_identity as export_identity, __export_job as export_job,
        export::{Handler, Job},
    };
}

/// The code of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
