//! A double of the host, for unit tests that run natively: no Wasm, no broker, and a clock that moves only when told.
//!
//! ```
//! use longshore_sdk::{Failure, Message, Outgoing, publish, testing};
//!
//! fn handle(message: &Message) -> Result<(), Failure> {
//!     publish(Outgoing::to("loud").payload(message.text()?.to_uppercase()));
//!     Ok(())
//! }
//!
//! let done = testing::run(handle, testing::Message::new("quiet").payload("hush"));
//! assert_eq!(done.outcome, Ok(()));
//! assert_eq!(done.outputs[0].text(), "HUSH");
//! ```
//!
//! A message goes through the same packed rows as on a real host, and so do the outputs. A [`Host`] of one's own gives configuration, stores
//! and messages to pull, and shows afterwards what was sent and logged.

mod consumer;
pub(crate) mod double;
mod locks;
mod message;
mod output;
mod state;
mod stores;

use std::{
    rc::Rc,
    time::{Duration, SystemTime},
};

pub use self::{
    message::Message,
    output::{Destination, Output},
    state::Line,
};
pub use crate::batch::Order;

pub(crate) use self::output::unpack;
use self::state::State;
use crate::{Error, Failure, IntoEnd, IntoOutcome, batch, delivery::Details};

/// Runs a handler on one message, on a host that has nothing else.
pub fn run<R: IntoOutcome>(handler: impl Fn(&crate::Message<'_>) -> R, message: Message) -> Done {
    Host::new().run(handler, message)
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What the handler said.
    pub outcome: Result<(), Failure>,
    /// What leaves with the message: nothing where it failed.
    pub outputs: Vec<Output>,
}

/// A host in memory. Everything is granted, unless [`refuse`](Self::refuse) says otherwise.
#[derive(Debug, Default)]
pub struct Host {
    state: Rc<State>,
}

impl Host {
    /// One with no configuration, empty stores, and a clock that stands.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value of the handler's `config` table.
    #[must_use]
    pub fn config(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.state.config.borrow_mut().insert(key.into(), value.into());
        self
    }

    /// What [`delivery::details`](crate::delivery::details) answers, for every message.
    #[must_use]
    pub fn details(self, details: Details) -> Self {
        self.state.details.replace(details);
        self
    }

    /// Calls that name this topic, bucket, lock or subscription answer `error`.
    #[must_use]
    pub fn refuse(self, name: impl Into<String>, error: Error) -> Self {
        self.state.refused.borrow_mut().insert(name.into(), error);
        self
    }

    /// The next [`request`](crate::request) that has no answer yet is answered with this.
    #[must_use]
    pub fn answer(self, message: Message) -> Self {
        self.state.answers.borrow_mut().push_back(message);
        self
    }

    /// Messages that a job can receive from the subscription of this name. Once they are gone, the job is asked to stop.
    #[must_use]
    pub fn subscription(self, name: impl Into<String>, messages: impl IntoIterator<Item = Message>) -> Self {
        self.state.subscriptions.borrow_mut().entry(name.into()).or_default().extend(messages);
        self
    }

    /// Runs a handler on one message.
    pub fn run<R: IntoOutcome>(&self, handler: impl Fn(&crate::Message<'_>) -> R, message: Message) -> Done {
        let mut done = self.run_batch(Order::None, handler, [message]);
        // A batch is handled at least as far as its first message.
        done.swap_remove(0)
    }

    /// Runs a handler on a batch of a subscription with this order. Answers what became of the messages that were handled: under
    /// [`Order::Lane`] those after one that comes again are not tried.
    pub fn run_batch<R: IntoOutcome>(
        &self,
        order: Order,
        handler: impl Fn(&crate::Message<'_>) -> R,
        messages: impl IntoIterator<Item = Message>,
    ) -> Vec<Done> {
        let mut rows = Vec::new();
        let mut count = 0;
        for message in messages {
            message.pack(&mut rows);
            count += 1;
        }
        let answer = self.enter(|| batch::answer(order, count, &rows, |message| handler(message).into_outcome()));
        let mut done: Vec<_> = (0..answer.handled).map(|_| Done { outcome: Ok(()), outputs: Vec::new() }).collect();
        for (index, failure) in answer.failures {
            done[index as usize].outcome = Err(failure);
        }
        for (origin, output) in unpack(&answer.outputs) {
            done[origin as usize].outputs.push(output);
        }
        done
    }

    /// Runs a job to its end.
    ///
    /// # Errors
    /// The text of what it failed with, as it would go to the log.
    pub fn run_job<R: IntoEnd>(&self, job: impl FnOnce() -> R) -> Result<(), String> {
        self.enter(|| job().into_end())
    }

    /// Runs any code with this host as the one that it talks to.
    pub fn enter<R>(&self, code: impl FnOnce() -> R) -> R {
        let _entered = state::Entered::new(&self.state);
        code()
    }

    /// Ends the lease of this lock, whoever holds it, as an operator would, or a server that forgot it.
    pub fn lose_lock(&self, name: &str) {
        self.state.locks.borrow_mut().lose(name, self.now());
    }

    /// The time on this host's clock.
    pub fn now(&self) -> SystemTime {
        self.state.now.get()
    }

    /// Moves the clock.
    pub fn advance(&self, span: Duration) {
        self.state.now.set(self.now() + span);
    }

    /// What left at once, by [`send`](crate::send), [`send_all`](crate::send_all) and [`request`](crate::request).
    pub fn sent(&self) -> Vec<Output> {
        self.state.sent.borrow().clone()
    }

    /// The lines that were logged.
    pub fn logged(&self) -> Vec<Line> {
        self.state.logged.borrow().clone()
    }

    /// What a job settled, in that order, by the message's id.
    pub fn settled(&self) -> Vec<(String, Done)> {
        self.state.settled.borrow().clone()
    }
}
