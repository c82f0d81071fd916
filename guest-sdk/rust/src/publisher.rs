//! Publishing at once, whatever becomes of the message being handled. What should leave only with its success, goes to
//! [`publish`](crate::publish) instead.

use std::time::Duration;

use crate::{Error, Message, Outgoing, host};

/// Publishes now and waits until the broker has confirmed it. Answers the broker's id for it.
///
/// # Errors
/// [`Error::Denied`] for a topic that is not granted, [`Error::TooLarge`], [`Error::Unsupported`] for a delay or a reply where there is no
/// such thing, [`Error::Unavailable`], and [`Error::Timeout`], after which it may have left all the same.
pub fn send(outgoing: Outgoing) -> Result<String, Error> {
    host::send(&outgoing)
}

/// The same for many, with one wait for all confirms; one answer each, in their order.
pub fn send_all(outgoing: Vec<Outgoing>) -> Vec<Result<String, Error>> {
    host::send_all(&outgoing)
}

/// Publishes now and waits up to `timeout` for the answer.
///
/// # Errors
/// As [`send`], and [`Error::Unsupported`] where the broker knows no requests.
pub fn request(outgoing: Outgoing, timeout: Duration) -> Result<Message<'static>, Error> {
    host::request(&outgoing, timeout)
}
