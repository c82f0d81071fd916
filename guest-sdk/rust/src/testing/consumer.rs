//! Messages to pull in memory. A delivery that is dropped unsettled comes again.

use std::cell::Cell;

use super::{Done, Message, Output, state::current};
use crate::{Error, Failure, Outgoing};

/// The double of a subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    name: String,
}

/// The double of a delivery.
#[derive(Debug)]
pub(crate) struct Delivery {
    subscription: String,
    message: Message,
    settled: Cell<bool>,
}

/// Once there is nothing left to receive.
pub(crate) fn stopping() -> bool {
    current().subscriptions.borrow().values().all(|waiting| waiting.is_empty())
}

impl Subscription {
    pub(crate) fn open(name: &str) -> Result<Self, Error> {
        let state = current();
        state.check(name)?;
        if !state.subscriptions.borrow().contains_key(name) {
            return Err(Error::Denied(name.to_owned()));
        }
        Ok(Self { name: name.to_owned() })
    }

    pub(crate) fn receive(&self, max: u32, _wait: u64) -> Result<Vec<Delivery>, Error> {
        if max == 0 {
            return Err(Error::Invalid("at least 1 message must be asked for".to_owned()));
        }
        let state = current();
        let mut subscriptions = state.subscriptions.borrow_mut();
        let Some(waiting) = subscriptions.get_mut(&self.name) else { return Ok(Vec::new()) };
        let count = waiting.len().min(max as usize);
        let lend = |message| Delivery { subscription: self.name.clone(), message, settled: Cell::new(false) };
        Ok(waiting.drain(..count).map(lend).collect())
    }
}

pub(crate) fn message(delivery: &Delivery) -> Result<crate::Message<'static>, Error> {
    Ok(delivery.message.read())
}

pub(crate) fn settle(delivery: &Delivery, outcome: Result<&[Outgoing], &Failure>) -> Result<(), Error> {
    let outputs: Vec<_> = outcome.unwrap_or_default().iter().map(Output::from).collect();
    let state = current();
    outputs.iter().filter_map(Output::topic).try_for_each(|topic| state.check(topic))?;
    delivery.settled.set(true);
    let done = Done { outcome: outcome.map(|_| ()).map_err(Failure::clone), outputs };
    state.settled.borrow_mut().push((delivery.message.read().id().to_owned(), done));
    Ok(())
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.settled.get()
            && let Some(waiting) = current().subscriptions.borrow_mut().get_mut(&self.subscription)
        {
            waiting.push_front(self.message.clone());
        }
    }
}
