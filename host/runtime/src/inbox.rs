//! Between the engine, which pushes calls, and a job, which pulls messages.
//!
//! [`Inbox`] is the handler of a job's subscription: a call waits in it until the job has received every message of it and settled it or
//! given it back. Nothing is decided here; a message that is given back counts as not tried.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::{Call, Crash, Done, Failure, Handler, Outputs};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Calls that wait for a job to pull their messages; more wait in the engine.
const OFFERS: usize = 64;

/// The handler to plug into a subscription whose messages a job pulls.
#[derive(Clone)]
pub struct Inbox {
    name: Arc<str>,
    offers: async_channel::Sender<Offer>,
}

/// What the job that pulls from an [`Inbox`] is given.
pub struct Outlook {
    offers: async_channel::Receiver<Offer>,
    waiting: Mutex<VecDeque<Lent>>,
}

/// An inbox and the job's side of it. `name` is the subscription's, as the job opens it.
pub fn inbox(name: &str) -> (Inbox, Outlook) {
    let (sender, receiver) = async_channel::bounded(OFFERS);
    (Inbox { name: name.into(), offers: sender }, Outlook { offers: receiver, waiting: Mutex::default() })
}

impl Handler for Inbox {
    /// Waits for the job. Trouble of the host, which uses no attempt, once the job's side is gone.
    async fn handle(&self, call: Call) -> Result<Done, Crash> {
        let gone = || Crash::Host(format!("the job that pulls from {:?} is not running", self.name));
        let (reply, answer) = oneshot::channel();
        self.offers.send(Offer { call, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

struct Offer {
    call: Call,
    reply: oneshot::Sender<Result<Done, Crash>>,
}

impl Outlook {
    /// Up to `max` messages; waits at most `wait` for the first. Empty when the wait is over or the job should end.
    pub(crate) async fn receive(&self, max: usize, wait: Duration, stop: &CancellationToken) -> Vec<Lent> {
        let lent = self.take(max);
        if !lent.is_empty() || stop.is_cancelled() {
            return lent;
        }
        tokio::select! {
            lent = self.first(max) => lent,
            () = tokio::time::sleep(wait) => Vec::new(),
            () = stop.cancelled() => Vec::new(),
        }
    }

    /// What is there already.
    fn take(&self, max: usize) -> Vec<Lent> {
        let mut lent = self.left_over(max);
        while lent.len() < max
            && let Ok(offer) = self.offers.try_recv()
        {
            lent.extend(self.accept(offer, max - lent.len()));
        }
        lent
    }

    /// The next messages that are offered; never, once nobody is left who could offer some.
    async fn first(&self, max: usize) -> Vec<Lent> {
        while let Ok(offer) = self.offers.recv().await {
            let lent = self.accept(offer, max);
            if !lent.is_empty() {
                return lent;
            }
        }
        std::future::pending().await
    }

    fn left_over(&self, max: usize) -> Vec<Lent> {
        let mut waiting = self.waiting();
        waiting.retain(|lent| !lent.offered.is_abandoned());
        let most = waiting.len().min(max);
        waiting.drain(..most).collect()
    }

    /// Lends the first messages of a call; the others wait for the next `receive`. None of a call that was taken back.
    fn accept(&self, offer: Offer, max: usize) -> Vec<Lent> {
        if offer.reply.is_closed() {
            return Vec::new();
        }
        let mut messages = Offered::lend(offer);
        let rest = messages.split_off(messages.len().min(max));
        self.waiting().extend(rest);
        messages
    }

    /// Gives back what no run has received yet of calls that were begun: who knows whether there is another run.
    pub(crate) fn give_back(&self) {
        let left = std::mem::take(&mut *self.waiting());
        drop(left);
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Lent>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Outlook {
    /// Offers in a closed channel live as long as the inbox: they are taken out, so that their calls end.
    fn drop(&mut self) {
        self.offers.close();
        while self.offers.try_recv().is_ok() {}
    }
}

/// What a job may pull from, by the names that it opens.
#[derive(Clone)]
pub(crate) struct Subscriptions {
    pub(crate) by_name: Arc<HashMap<String, Arc<Outlook>>>,
    /// Cancelled once the host wants the job to end.
    pub(crate) stop: CancellationToken,
}

/// A call whose messages are lent one by one; answered when the last of them came back.
struct Offered {
    call: Call,
    state: Mutex<Answers>,
}

struct Answers {
    /// What became of each message; `None` while it is lent.
    verdicts: Vec<Option<Verdict>>,
    open: usize,
    reply: Option<oneshot::Sender<Result<Done, Crash>>>,
}

/// What a job says about one message: its outputs as packed rows, or why it was not finished.
pub(crate) type Verdict = Result<Vec<u8>, Failure>;

impl Offered {
    fn lend(offer: Offer) -> Vec<Lent> {
        let count = offer.call.len();
        let answers = Answers { verdicts: vec![None; count], open: count, reply: Some(offer.reply) };
        let offered = Arc::new(Offered { call: offer.call, state: Mutex::new(answers) });
        (0..count).map(|index| Lent { offered: offered.clone(), index, settled: false }).collect()
    }

    fn settle(&self, index: usize, verdict: Verdict) {
        let mut state = self.state();
        state.verdicts[index] = Some(verdict);
        state.open -= 1;
        if state.open == 0
            && let Some(reply) = state.reply.take()
        {
            let _ = reply.send(state.done());
        }
    }

    /// Whether the engine took the call back: the lease has passed, or the subscription ended.
    fn is_abandoned(&self) -> bool {
        self.state().reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn state(&self) -> MutexGuard<'_, Answers> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers {
    fn done(&mut self) -> Result<Done, Crash> {
        let handled = u32::try_from(self.verdicts.len()).unwrap_or(u32::MAX);
        let (mut failures, mut rows) = (Vec::new(), Vec::new());
        for (index, verdict) in (0..handled).zip(&mut self.verdicts) {
            match verdict.take() {
                Some(Ok(outputs)) => rows.extend(outputs),
                Some(Err(failure)) => failures.push((index, failure)),
                None => failures.push((index, Failure::NotTried)),
            }
        }
        let outputs = Outputs::check(rows, handled).map_err(|malformed| Crash::Trap(malformed.to_string()))?;
        Ok(Done { handled, failures, outputs })
    }
}

/// One message, lent to a job. Dropped unsettled, it is given back.
pub(crate) struct Lent {
    offered: Arc<Offered>,
    index: usize,
    settled: bool,
}

/// Why a message could not be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsettled {
    /// It was settled before.
    Twice,
    /// It is somebody else's now.
    Gone,
}

impl Lent {
    /// Where the message is, and its index among those of its call.
    pub(crate) fn message(&self) -> (&Call, u32) {
        (&self.offered.call, u32::try_from(self.index).unwrap_or(u32::MAX))
    }

    /// Whether it can still be settled.
    pub(crate) fn check(&self) -> Result<(), Unsettled> {
        match () {
            () if self.settled => Err(Unsettled::Twice),
            () if self.offered.is_abandoned() => Err(Unsettled::Gone),
            () => Ok(()),
        }
    }

    /// Says what became of it. Outputs have this message's index as origin.
    pub(crate) fn settle(&mut self, verdict: Verdict) {
        if !self.settled {
            self.settled = true;
            self.offered.settle(self.index, verdict);
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.settle(Err(Failure::NotTried));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_longest_wait_does_not_overflow_and_ends_with_the_job() {
        let (_inbox, outlook) = inbox("orders");
        let stop = CancellationToken::new();
        let begun = tokio::time::Instant::now();
        let stops = async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            stop.cancel();
        };
        let (lent, ()) = tokio::join!(outlook.receive(1, Duration::from_millis(u64::MAX), &stop), stops);
        assert!(lent.is_empty() && begun.elapsed() >= Duration::from_secs(3600));
    }
}
