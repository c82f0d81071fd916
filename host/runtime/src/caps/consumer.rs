//! `consumer`: pull, for jobs.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::Failure;
use wasmtime::component::Resource;

use super::publish;
use crate::answer;
use crate::bindings::consumer::{Host, HostDelivery, HostSubscription};
use crate::bindings::types::{self, Error, Outgoing};
use crate::inbox::{Lent, Outlook, Unsettled};
use crate::state::State;

/// Messages that one `receive` gives at most, however many are asked for.
const RECEIVE: u32 = 10_000;

/// A subscription that a job has opened.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Subscription(Arc<Outlook>);

/// A message that a job holds.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Delivery(Lent);

impl Host for State {
    fn stopping(&mut self) -> bool {
        self.granted.subscriptions.as_ref().is_some_and(|s| s.stop.is_cancelled())
    }
}

impl HostSubscription for State {
    fn open(&mut self, name: String) -> Result<Resource<Subscription>, Error> {
        let outlook = self.granted.subscriptions.as_ref().and_then(|s| s.by_name.get(&name)).cloned();
        let Some(outlook) = outlook else {
            return Err(Error::Denied(format!("this job may not pull from {name:?}: add it to its `subscribe` list")));
        };
        self.resources.push(Subscription(outlook)).map_err(|e| Error::Other(format!("too many things are open: {e}")))
    }

    async fn receive(
        &mut self,
        subscription: Resource<Subscription>,
        max: u32,
        wait: u64,
    ) -> wasmtime::Result<Result<Vec<Resource<Delivery>>, Error>> {
        if max == 0 {
            return Ok(Err(Error::Invalid("receive(0): ask for one message at least".into())));
        }
        let outlook = self.resources.get(&subscription)?.0.clone();
        let Some(subscriptions) = self.granted.subscriptions.clone() else { return Ok(Ok(Vec::new())) };
        let lent = outlook.receive(max.min(RECEIVE) as usize, Duration::from_millis(wait), &subscriptions.stop).await;
        let mut deliveries = Vec::with_capacity(lent.len());
        for message in lent {
            deliveries.push(self.resources.push(Delivery(message))?);
        }
        Ok(Ok(deliveries))
    }

    fn drop(&mut self, subscription: Resource<Subscription>) -> wasmtime::Result<()> {
        self.resources.delete(subscription)?;
        Ok(())
    }
}

impl HostDelivery for State {
    fn message(&mut self, delivery: Resource<Delivery>) -> wasmtime::Result<types::Message> {
        let (call, index) = self.resources.get(&delivery)?.0.message();
        Ok(publish::owned(&call.batch.get(call.from + index as usize)))
    }

    async fn settle(
        &mut self,
        delivery: Resource<Delivery>,
        outcome: Result<Vec<Outgoing>, types::Failure>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let lent = &self.resources.get(&delivery)?.0;
        let index = lent.message().1;
        if let Err(unsettled) = lent.check() {
            return Ok(Err(unsettled.into()));
        }
        let verdict = match outcome {
            Ok(outputs) => match self.accept(index, &outputs) {
                Ok(rows) => Ok(rows),
                Err(error) => return Ok(Err(error)),
            },
            Err(failure) => Err(Failure::from(failure)),
        };
        self.resources.get_mut(&delivery)?.0.settle(verdict);
        Ok(Ok(()))
    }

    fn drop(&mut self, delivery: Resource<Delivery>) -> wasmtime::Result<()> {
        self.resources.delete(delivery)?;
        Ok(())
    }
}

impl State {
    /// The packed rows of outputs that the host will accept.
    fn accept(&self, origin: u32, outputs: &[Outgoing]) -> Result<Vec<u8>, Error> {
        let mut rows = Vec::new();
        for output in outputs {
            self.check_output(output)?;
            answer::append(&mut rows, origin, output);
        }
        Ok(rows)
    }
}

impl From<Unsettled> for Error {
    fn from(unsettled: Unsettled) -> Self {
        match unsettled {
            Unsettled::Twice => Error::Invalid("this delivery was settled before".into()),
            Unsettled::Gone => Error::Conflict,
        }
    }
}
