//! Pull, for jobs, which ask for messages themselves.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use longshore_sdk::{Failure, Outgoing, consumer::{self, Subscription}};
//!
//! #[longshore_sdk::job]
//! fn run() -> Result<(), Failure> {
//!     let orders = Subscription::open("orders")?;
//!     while !consumer::stopping() {
//!         for delivery in orders.receive(100, Duration::from_secs(1))? {
//!             let copy = Outgoing::to("copies").payload(delivery.message().payload());
//!             delivery.settle(Ok(vec![copy]))?;
//!         }
//!     }
//!     Ok(())
//! }
//! ```

use std::time::Duration;

use crate::{Error, Failure, Message, Outgoing, host, time};

/// A source of messages.
#[derive(Debug)]
pub struct Subscription(host::Subscription);

/// One message, lent to this job until it settles it. Dropped without, it is given back: it comes again, with no attempt used.
#[derive(Debug)]
pub struct Delivery {
    lent: host::Delivery,
    message: Message<'static>,
}

/// True once the host wants the job to end: return from `run` soon.
pub fn stopping() -> bool {
    host::stopping()
}

impl Subscription {
    /// A subscription that the configuration grants to this job, by its name there.
    ///
    /// # Errors
    /// [`Error::Denied`] for any other name, [`Error::Unavailable`] while the broker cannot be reached.
    pub fn open(name: &str) -> Result<Self, Error> {
        Ok(Self(host::Subscription::open(name)?))
    }

    /// Up to `max` deliveries, at least 1; waits at most `wait` for the first. Empty when the wait is over or the job should end.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `max` is 0, [`Error::Unavailable`] while the broker cannot be reached.
    pub fn receive(&self, max: u32, wait: Duration) -> Result<Vec<Delivery>, Error> {
        let lent = self.0.receive(max, time::millis(wait))?;
        lent.into_iter().map(|lent| Ok(Delivery { message: host::message(&lent)?, lent })).collect()
    }
}

impl Delivery {
    /// What was delivered.
    pub fn message(&self) -> &Message<'static> {
        &self.message
    }

    /// Says what became of it: done, with messages that leave together with its acknowledgement, or why not.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it has passed to somebody else, [`Error::Denied`] or [`Error::TooLarge`] for a message that the host
    /// cannot publish; it then stays unsettled and comes again.
    pub fn settle(self, outcome: Result<Vec<Outgoing>, Failure>) -> Result<(), Error> {
        host::settle(&self.lent, outcome.as_deref())
    }
}
