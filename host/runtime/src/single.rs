//! The world `single`: one message a call of the guest, the messages of a host's call one after another.
//!
//! What a failure means for the messages after it is decided here, as an SDK decides it for packed batches: those of its key were not
//! tried. A trap in the middle does not
//! take the finished messages with it: they are answered, and the one that trapped comes again, first.

use longshore_core::{Call, Done, Failure, Malformed, Order, Outputs, row::Row};
use wasmtime::component::{ComponentType, Func, Instance, Lower};
use wasmtime::{AsContextMut, Store};

use crate::answer;
use crate::bindings::types::{self, Outgoing};
use crate::module::Entry;
use crate::state::State;

/// `handler.handle`, with its type checked.
#[derive(Clone, Copy)]
pub(crate) struct SingleFunc(Func);

/// The WIT's `message`, borrowed.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Message<'a> {
    #[component(name = "id")]
    id: &'a str,
    #[component(name = "topic")]
    topic: &'a str,
    #[component(name = "key")]
    key: Option<&'a [u8]>,
    #[component(name = "payload")]
    payload: Option<&'a [u8]>,
    #[component(name = "headers")]
    headers: &'a [(&'a str, &'a [u8])],
    #[component(name = "timestamp")]
    timestamp: u64,
    #[component(name = "attempt")]
    attempt: u32,
}

pub(crate) type Answer = Result<Vec<Outgoing>, types::Failure>;

pub(crate) fn func(store: &mut Store<State>, instance: &Instance, entry: &Entry) -> wasmtime::Result<SingleFunc> {
    let func = instance.get_func(&mut *store, entry.func).ok_or_else(|| wasmtime::format_err!("it is not exported"))?;
    func.typed::<(Message<'_>,), (Answer,)>(&*store)?;
    Ok(SingleFunc(func))
}

/// Calls the guest for one message.
pub(crate) async fn call(func: SingleFunc, store: &mut Store<State>, row: Row<'_>, headers: &[(&str, &[u8])]) -> wasmtime::Result<Answer> {
    let message = Message {
        id: row.id(),
        topic: row.topic(),
        key: row.key(),
        payload: row.payload(),
        headers,
        timestamp: row.timestamp(),
        attempt: row.attempt(),
    };
    let typed = func.0.typed::<(Message<'_>,), (Answer,)>(&*store)?;
    let (answer,) = typed.call_async(store.as_context_mut(), (message,)).await?;
    Ok(answer)
}

/// The answer to a host's call while it grows, a message at a time.
pub(crate) struct Progress<'c> {
    call: &'c Call,
    /// Bytes of outputs after which no further message is begun.
    output_size: usize,
    done: Vec<(u32, Failure)>,
    handled: u32,
    rows: Vec<u8>,
    /// Keys whose later messages have to wait.
    held: Vec<&'c [u8]>,
    stopped: bool,
}

impl<'c> Progress<'c> {
    pub(crate) fn new(call: &'c Call, output_size: usize) -> Self {
        Progress { call, output_size, done: Vec::new(), handled: 0, rows: Vec::new(), held: Vec::new(), stopped: false }
    }

    /// The next message for the guest, with its index in the call. Those that wait for an earlier one of their key are passed over.
    pub(crate) fn next(&mut self) -> Option<(u32, Row<'c>)> {
        loop {
            let index = self.call.from + self.handled as usize;
            if self.stopped || index == self.call.to || self.rows.len() > self.output_size {
                return None;
            }
            let row = self.call.batch.row(index);
            if !row.key().is_some_and(|key| self.held.contains(&key)) {
                return Some((self.handled, row));
            }
            self.done.push((self.handled, Failure::NotTried));
            self.handled += 1;
        }
    }

    /// Takes the guest's answer for message `origin`, the last that [`next`](Self::next) gave.
    pub(crate) fn answered(&mut self, origin: u32, row: Row<'c>, answer: Answer) {
        match answer {
            Ok(outputs) => outputs.iter().for_each(|output| answer::append(&mut self.rows, origin, output)),
            Err(failure) => self.failed(origin, row, failure.into()),
        }
        self.handled = origin + 1;
    }

    /// What was answered so far.
    pub(crate) fn done(self) -> Result<Done, Malformed> {
        let outputs = Outputs::check(self.rows, self.handled)?;
        Ok(Done { handled: self.handled, failures: self.done, outputs })
    }

    fn failed(&mut self, origin: u32, row: Row<'c>, failure: Failure) {
        let comes_again = matches!(failure, Failure::Retry(_) | Failure::RetryAfter(..) | Failure::Snooze(_));
        match self.call.subscription.order {
            Order::Lane => self.stopped |= comes_again,
            Order::Key if comes_again => self.held.extend(row.key()),
            Order::Key | Order::None => {}
        }
        self.done.push((origin, failure));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use longshore_core::{Batch, Facts, Message as Plain, Receipt, SubscriptionInfo};

    use super::*;

    fn call(order: Order, keys: &[Option<&str>]) -> Call {
        let mut batch = Batch::default();
        for key in keys {
            let headers: &[(&str, &[u8])] = &[];
            let key = key.map(str::as_bytes);
            let message = Plain { id: "", topic: "t", key, payload: None, headers: headers.iter().copied(), timestamp: 0, attempt: 1 };
            batch.push(&message, Receipt { position: 1, token: &[] }, Facts::default());
        }
        let subscription =
            SubscriptionInfo { name: "h/t".into(), handler: "h".into(), group: None, broker: "b".into(), order, max_attempts: 5 };
        let to = batch.len();
        Call { batch: Arc::new(batch), from: 0, to, subscription: Arc::new(subscription), partition: None }
    }

    /// Which messages the guest sees when it fails those in `failing`, and what is answered.
    fn run(order: Order, keys: &[Option<&str>], failing: &[u32], how: &types::Failure) -> (Vec<u32>, u32, Vec<u32>) {
        let (seen, done) = answered(order, keys, failing, how);
        (seen, done.handled, done.failures.iter().map(|(i, _)| *i).collect())
    }

    fn answered(order: Order, keys: &[Option<&str>], failing: &[u32], how: &types::Failure) -> (Vec<u32>, Done) {
        let call = call(order, keys);
        let mut progress = Progress::new(&call, 1000);
        let mut seen = Vec::new();
        while let Some((origin, row)) = progress.next() {
            seen.push(origin);
            let answer = if failing.contains(&origin) { Err(how.clone()) } else { Ok(Vec::new()) };
            progress.answered(origin, row, answer);
        }
        (seen, progress.done().expect("well-formed"))
    }

    #[test]
    fn what_waits_for_an_earlier_one_of_its_key_was_not_tried() {
        let keys = [Some("a"), Some("a"), Some("b"), Some("a")];
        let (_, done) = answered(Order::Key, &keys, &[0], &types::Failure::Snooze(0));
        assert_eq!(done.failures, [(0, Failure::Snooze(Duration::ZERO)), (1, Failure::NotTried), (3, Failure::NotTried)]);
    }

    #[test]
    fn a_failure_stops_what_the_order_says() {
        let keys = [Some("a"), Some("b"), Some("a"), None, None];
        let retry = types::Failure::Retry("no".into());
        assert_eq!(run(Order::None, &keys, &[0], &retry), (vec![0, 1, 2, 3, 4], 5, vec![0]));
        assert_eq!(run(Order::Key, &keys, &[0], &retry), (vec![0, 1, 3, 4], 5, vec![0, 2]));
        assert_eq!(run(Order::Lane, &keys, &[1], &retry), (vec![0, 1], 2, vec![1]));
        assert_eq!(run(Order::Key, &keys, &[3], &retry), (vec![0, 1, 2, 3, 4], 5, vec![3]), "no key is a key of its own");
    }

    #[test]
    fn what_does_not_come_again_stops_nothing() {
        let keys = [Some("a"), Some("a")];
        let reject = types::Failure::Reject("no".into());
        assert_eq!(run(Order::Lane, &keys, &[0], &reject), (vec![0, 1], 2, vec![0]));
        assert_eq!(run(Order::Key, &keys, &[0], &reject), (vec![0, 1], 2, vec![0]));
    }
}
