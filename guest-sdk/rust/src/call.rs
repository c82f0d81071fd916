//! The call that is under way: which message of the batch is being handled, and what was published for it so far.
//!
//! Guests have one thread and one call at a time; natively each test thread has its own.

use std::cell::{Cell, RefCell};

use crate::Outgoing;

thread_local! {
    static ORIGIN: Cell<Option<u32>> = const { Cell::new(None) };
    static OUTPUTS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Publishes when, and only when, the message being handled is done, together with its acknowledgement where the broker can. If the
/// handler fails in the end, nothing has been published.
///
/// # Panics
/// Outside of a handler, since there is no message to publish with. A job publishes with what it settles, or with [`send`](crate::send).
#[track_caller]
pub fn publish(outgoing: Outgoing) {
    let Some(origin) = ORIGIN.get() else {
        panic!("publish works in a handler only: in a job, give it to `Delivery::settle` or `send`");
    };
    OUTPUTS.with_borrow_mut(|rows| outgoing.pack(origin, rows));
}

/// Answers whoever sent the message being handled as a request: [`publish`] of an [`Outgoing::reply`] with this payload.
///
/// # Panics
/// Outside of a handler, as [`publish`] does.
#[track_caller]
pub fn reply(payload: impl AsRef<[u8]>) {
    publish(Outgoing::reply().payload(payload));
}

/// Index of the message being handled in its batch; 0 where there is one, or none.
pub(crate) fn origin() -> u32 {
    ORIGIN.get().unwrap_or(0)
}

/// A call under way. Nothing of it is left once this is dropped, though a native test's handler may have panicked.
pub(crate) struct Call(());

impl Call {
    pub(crate) fn start() -> Self {
        Self(())
    }

    /// Runs `handle` as the handler of message `origin`; what it published is kept if it is `Ok`.
    #[inline]
    pub(crate) fn handle<E>(&mut self, origin: u32, handle: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        ORIGIN.set(Some(origin));
        let before = OUTPUTS.with_borrow(Vec::len);
        let outcome = handle();
        if outcome.is_err() {
            OUTPUTS.with_borrow_mut(|rows| rows.truncate(before));
        }
        outcome
    }

    /// What was published by those messages that are done, packed.
    pub(crate) fn finish(self) -> Vec<u8> {
        OUTPUTS.take()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        ORIGIN.set(None);
        OUTPUTS.with_borrow_mut(Vec::clear);
    }
}
