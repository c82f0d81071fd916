//! A batch handled message by message, in the order that the subscription keeps.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    Failure, Message,
    call::Call,
    packed::{Damaged, Rows},
};

/// What a failure means for the messages after it.
#[cfg_attr(target_family = "wasm", expect(unreachable_pub, reason = "only tests name it, through `testing`"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing: every message stands alone.
    None,
    /// Later ones of the same key wait for one that comes again.
    Key,
    /// All later ones wait for one that comes again.
    Lane,
}

/// What became of a batch, as the world `batched` answers it.
pub(crate) struct Answer {
    pub(crate) handled: u32,
    pub(crate) failures: Vec<(u32, Failure)>,
    pub(crate) outputs: Vec<u8>,
}

/// Calls `handle` for each message of `rows`. A row that cannot be read is a failure that ends the batch there.
pub(crate) fn answer(order: Order, count: u32, rows: &[u8], handle: impl Fn(&Message<'_>) -> Result<(), Failure>) -> Answer {
    let mut call = Call::start();
    let mut failures = Vec::new();
    let mut held = Held::new(order);
    let mut rows = Rows::new(rows);
    let mut handled = count;
    for index in 0..count {
        let message = match next(&mut rows) {
            Ok(message) => message,
            Err(damaged) => {
                failures.push((index, Failure::retry(damaged)));
                handled = index + 1;
                break;
            }
        };
        if held.has(&message) {
            failures.push((index, Failure::Snooze(Duration::ZERO)));
            continue;
        }
        let Err(failure) = call.handle(index, || handle(&message)) else { continue };
        let comes_again = failure.comes_again();
        failures.push((index, failure));
        if comes_again {
            if order == Order::Lane {
                handled = index + 1;
                break;
            }
            held.hold(&message);
        }
    }
    Answer { handled, failures, outputs: call.finish() }
}

#[inline(always)]
fn next<'a>(rows: &mut Rows<'a>) -> Result<Message<'a>, Damaged> {
    Message::read(rows.next().ok_or(Damaged("fewer rows than messages"))??)
}

/// The keys whose later messages wait. A message without key is its own key.
struct Held {
    by_key: bool,
    keys: BTreeSet<Box<[u8]>>,
}

impl Held {
    fn new(order: Order) -> Self {
        Self { by_key: order == Order::Key, keys: BTreeSet::new() }
    }

    #[inline]
    fn has(&self, message: &Message<'_>) -> bool {
        !self.keys.is_empty() && message.key().is_some_and(|key| self.keys.contains(key))
    }

    fn hold(&mut self, message: &Message<'_>) {
        if let (true, Some(key)) = (self.by_key, message.key()) {
            self.keys.insert(key.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// Two messages, packed.
    fn rows() -> Vec<u8> {
        let mut rows = Vec::new();
        testing::Message::new("in").pack(&mut rows);
        testing::Message::new("in").pack(&mut rows);
        rows
    }

    fn handled(count: u32, rows: &[u8]) -> (u32, Vec<(u32, Failure)>) {
        let answer = answer(Order::None, count, rows, |_| Ok(()));
        (answer.handled, answer.failures)
    }

    #[test]
    fn a_row_that_cannot_be_read_fails_and_ends_the_batch() {
        let mut rows = rows();
        assert_eq!(handled(2, &rows), (2, Vec::new()));
        let second = rows.len() / 2;
        rows[second] = 3;
        let reason = "damaged row in the batch: a size that no row can have";
        assert_eq!(handled(2, &rows), (2, vec![(1, Failure::retry(reason))]));
    }

    #[test]
    fn rows_that_are_missing_are_not_taken_for_done() {
        let reason = "damaged row in the batch: fewer rows than messages";
        assert_eq!(handled(5, &rows()), (3, vec![(2, Failure::retry(reason))]));
        assert_eq!(handled(1, &[]), (1, vec![(0, Failure::retry(reason))]));
    }
}
